//! The payment password: set, changed, used and reset without ever being sent (OPAQUE, RFC 9807).
//!
//! A wrong password fails on the phone, so a phone is the last to be asked how many tries are left. They are counted
//! here, under the user: a try is spent in a committed transaction *before* the second message of a login goes out, and
//! a valid third message gives it back. With none left only a reset by one of the user's own cards helps.
//!
//! ```text
//! suite     the cipher suite, the secret setup, the cryptographic steps
//! logins    logins between two messages, in memory
//! record    the tables
//! register  registration, setting and changing
//! login     the first half of a login; the second is the act that it is for
//! reset     the way back by card and SMS
//! ```

mod login;
mod logins;
mod record;
mod register;
mod reset;
mod suite;

use std::path::Path;
use std::time::Instant;

use anyhow::bail;
use axum::Router;
use axum::routing::post;
use sandbox_kit::db::Db;
use sandbox_kit::problem::Problem;
use serde::{Deserialize, Serialize};

use crate::store::Device;
use crate::{Shared, form};
use logins::{Login, Logins};
use record::Records;
pub(crate) use record::{ERASE, Proven, State, WIPE};
pub(crate) use suite::SessionKey;
use suite::{Exchange, Setup};

/// The setting that ties a database to the setup its records were made with.
const SETUP_SETTING: &str = "password_setup";
/// The setup's file, beside the database.
const SETUP_FILE: &str = "password.key";

/// Everything about payment passwords that requests need.
pub(crate) struct Passwords {
    setup: Setup,
    logins: Logins<Exchange>,
    pub(crate) records: Records,
}

/// The third message of a login with a MAC by its session key, as requests carry them.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginProof {
    login_id: String,
    ke3: String,
    mac: String,
}

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/v1/payment-password", post(register::set))
        .route("/v1/payment-password/registrations", post(register::begin))
        .route("/v1/payment-password/logins", post(login::begin))
        .route("/v1/payment-password/resets", post(reset::begin))
        .route(
            "/v1/payment-password/resets/{reset_id}/verify",
            post(reset::verify),
        )
}

impl Passwords {
    /// Opens the setup beside the database. A database whose records were made with another setup is refused: every
    /// password in it would be wrong.
    pub(crate) async fn open(database: &Path, db: &Db, tries: u32) -> anyhow::Result<Self> {
        let path = database.with_file_name(SETUP_FILE);
        let known = db.setting(SETUP_SETTING).await?;
        if known.is_some() && !path.exists() {
            bail!(
                "{} is gone, and the payment passwords in the database with it: put it back from a backup",
                path.display()
            );
        }
        let setup = Setup::open_or_create(&path)?;
        match known {
            None => db.set_setting(SETUP_SETTING, &setup.public()).await?,
            Some(known) if known == setup.public() => {}
            Some(_) => bail!(
                "{} is not the one that the payment passwords in the database were set with",
                path.display()
            ),
        }
        Ok(Self {
            setup,
            logins: Logins::default(),
            records: Records::new(db.clone(), tries),
        })
    }

    /// Takes the third message of this device's login. The login is used up, whatever comes of it. Whoever is answered a
    /// session key knew the password of the record that `credential` names.
    pub(crate) fn finish(&self, device: &Device, proof: &LoginProof) -> Result<Finished, Problem> {
        if !form::is_id("lgn_", &proof.login_id) {
            return Err(Problem::invalid(
                "login_id must be as the login answered it.",
            ));
        }
        let ke3 = form::exact::<{ suite::KE3 }>("ke3", &proof.ke3)?;
        let mac = form::exact::<32>("mac", &proof.mac)?;
        let login: Login = self
            .logins
            .take(&proof.login_id, &device.id, Instant::now())
            .ok_or_else(login_over)?;
        let key = login
            .exchange
            .finish(&ke3, &device.user)
            .ok_or_else(not_confirmed)?;
        Ok(Finished {
            key,
            mac,
            credential: login.credential,
        })
    }
}

/// A login that was finished by somebody who knew the password.
pub(crate) struct Finished {
    pub(crate) key: SessionKey,
    mac: [u8; 32],
    /// Names the record that the password belongs to.
    pub(crate) credential: String,
}

impl Finished {
    /// Whether the login was finished for this message.
    pub(crate) fn vouches(&self, message: &[u8]) -> bool {
        self.key.vouches(message, &self.mac)
    }
}

/// The login is not there, or not any more.
pub(crate) fn login_over() -> Problem {
    Problem::new(
        410,
        "login_over",
        "Login over",
        "This login is unknown, finished or older than two minutes, or the password was changed since. Begin a new one.",
    )
}

/// KE3, MAC or signature is not what it must be.
pub(crate) fn not_confirmed() -> Problem {
    Problem::new(
        403,
        "confirmation_invalid",
        "Confirmation not valid",
        "The proof is not right for this request. Ask the person again and begin anew.",
    )
}

fn locked() -> Problem {
    Problem::new(
        403,
        "password_locked",
        "Payment password locked",
        "The payment password was wrong too often. Reset it with one of your cards.",
    )
    .with("tries_left", 0)
}

fn not_set() -> Problem {
    Problem::new(
        409,
        "password_not_set",
        "No payment password",
        "No payment password is set. Set one first.",
    )
}
