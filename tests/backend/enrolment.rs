//! What an enrolment takes from a provider, pins above all.

use std::sync::Arc;

use rustls::version::TLS13;
use serde_json::json;
use tapcore::backend::BackendError;
use tapcore::wallet::{Clock, ClockReading, Config, Wallet, WalletError};

use crate::NOON_MS;
use crate::keys::MemoryKeyStore;
use crate::provider::{Authority, Provider, session};

struct Noon;

impl Clock for Noon {
    fn now(&self) -> ClockReading {
        ClockReading {
            wall_ms: NOON_MS,
            boot_id: "boot".into(),
            since_boot_ms: 1_000,
        }
    }
}

/// Enrols with a provider that gives these pins out.
async fn enrol(ca: &Authority, provider: &Provider) -> Result<(), WalletError> {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        folder: folder.path().to_owned(),
        app_version: "1.0.0".into(),
        production: false,
    };
    let keys: Arc<MemoryKeyStore> = Arc::default();
    let runtime = tokio::runtime::Handle::current();
    let wallet = Wallet::new(config, keys, Arc::new(Noon), runtime).unwrap();
    let enrolled = wallet.enrol(&provider.url, &ca.pem, None).await;
    let device = wallet.status().await.unwrap().device_id;
    assert_eq!(device.is_some(), enrolled.is_ok());
    wallet.close().await.unwrap();
    enrolled
}

#[tokio::test(flavor = "multi_thread")]
async fn s36_fewer_than_two_pins_are_not_taken() {
    let ca = Authority::new();
    let (used, spare, other) = (ca.leaf(), ca.leaf(), ca.leaf());
    let cases = [
        (vec![], false),
        (vec![used.pin()], false),
        (vec![used.pin(), used.pin()], false),
        (vec![used.pin(), used.pin().to_lowercase()], false),
        (vec![used.pin(), spare.pin()], true),
        (vec![spare.pin(), used.pin()], true),
    ];
    for (pins, taken) in cases {
        let given = pins.clone();
        let provider = Provider::serve(used.config(&[&TLS13]), move |heard| {
            match heard.target.as_str() {
                "/v1/sessions" => session(),
                "/v1/enrolment-challenges" => (201, json!({ "challenge": "00".repeat(32) })),
                _ => {
                    let answer = json!({
                        "device_id": "dev_1",
                        "user_id": "usr_1",
                        "pins": given,
                        "network": { "signing_key": "04", "hpke_key": "04" },
                        "policy": {},
                    });
                    (201, answer)
                }
            }
        });
        let enrolled = enrol(&ca, &provider).await;
        match taken {
            true => enrolled.unwrap(),
            false => assert!(
                matches!(enrolled, Err(WalletError::Backend(BackendError::Malformed))),
                "{pins:?}: {enrolled:?}"
            ),
        }
    }
    // Two pins, none of which is the key of the server that gave them: they must work before they are relied on.
    let given = [spare.pin(), other.pin()];
    let provider = Provider::serve(used.config(&[&TLS13]), move |heard| {
        match heard.target.as_str() {
            "/v1/enrolment-challenges" => (201, json!({ "challenge": "00".repeat(32) })),
            _ => {
                let answer = json!({
                    "device_id": "dev_1",
                    "user_id": "usr_1",
                    "pins": given,
                    "network": { "signing_key": "04", "hpke_key": "04" },
                    "policy": {},
                });
                (201, answer)
            }
        }
    });
    let enrolled = enrol(&ca, &provider).await;
    let refused = matches!(
        enrolled,
        Err(WalletError::Backend(BackendError::NotTrusted))
    );
    assert!(refused, "{enrolled:?}");
}
