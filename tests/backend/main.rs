//! The backend against a provider that answers, signs and pretends as each test wants, over real TLS.

mod enrolment;
#[path = "../keys/mod.rs"]
mod keys;
mod provider;
mod signed;
mod tls;

use std::sync::Arc;

use tapcore::backend::{Backend, Identity, Trust};

use provider::Provider;

/// The phone's clock in these tests: noon of one day, milliseconds of Unix time.
const NOON_MS: i64 = 1_795_348_800_000;

/// A client of this provider, which trusts this CA and these leaf keys.
fn client(provider: &Provider, ca_pem: &str, pins: &[String]) -> Backend {
    let trust = Trust {
        provider_url: &provider.url,
        ca_pem,
        pins,
    };
    let identity = Identity {
        device_id: "dev_1".into(),
        app_version: "1.0.0".into(),
        sign: Arc::new(|_| Ok(vec![7; 64])),
    };
    Backend::new(&trust, Some(identity), || NOON_MS).unwrap()
}
