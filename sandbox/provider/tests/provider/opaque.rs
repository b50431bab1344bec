//! The phone's half of OPAQUE, and what the tests of passwords and confirmations do with it.

use opaque_ke::{
    CipherSuite, ClientLogin, ClientLoginFinishParameters, ClientRegistration,
    ClientRegistrationFinishParameters, CredentialResponse, Identifiers, RegistrationResponse,
    TripleDh,
};
use p256::NistP256;
use rand_core::OsRng;
use ring::hmac;
use sandbox_kit::bind::bind;
use sandbox_kit::bytes::{from_hex, to_hex};
use sandbox_kit::client::CallError;
use sandbox_kit::db::sqlite_url;
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::{AnyPool, Row};

use crate::common::{Bench, Phone, a_box, fresh_key};

pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const WRONG: &str = "battery staple";
pub(crate) const CONTEXT: &[u8] = b"tapcore payment password v1";

pub(crate) struct Suite;

impl CipherSuite for Suite {
    type OprfCs = NistP256;
    type KeyExchange = TripleDh<NistP256, Sha256>;
    type Ksf = opaque_ke::argon2::Argon2<'static>;
}

pub(crate) fn names(user: &str) -> Identifiers<'_> {
    Identifiers {
        client: Some(user.as_bytes()),
        server: Some(b"tapcore provider"),
    }
}

/// A login whose password the phone has found right.
pub(crate) struct Login {
    pub(crate) id: String,
    pub(crate) ke1: Vec<u8>,
    pub(crate) ke2: Vec<u8>,
    pub(crate) ke3: Vec<u8>,
    pub(crate) key: Vec<u8>,
    pub(crate) tries_left: i64,
}

impl Login {
    /// The proof that a request carries, over these bytes.
    pub(crate) fn over(&self, message: &[u8]) -> Value {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.key);
        let mac = hmac::sign(&key, message);
        json!({ "login_id": self.id, "ke3": to_hex(&self.ke3), "mac": to_hex(mac.as_ref()) })
    }
}

pub(crate) fn unhex(value: &Value) -> Vec<u8> {
    from_hex(value.as_str().unwrap()).unwrap()
}

impl Phone<'_> {
    /// A registration as far as its upload.
    pub(crate) async fn registration(&self, password: &str) -> Vec<u8> {
        let client = ClientRegistration::<Suite>::start(&mut OsRng, password.as_bytes()).unwrap();
        let request = json!({ "request": to_hex(&client.message.serialize()) });
        let answer = self
            .post("/v1/payment-password/registrations", &request, &fresh_key())
            .await
            .unwrap();
        let response = RegistrationResponse::deserialize(&unhex(&answer["response"])).unwrap();
        let parameters = ClientRegistrationFinishParameters::new(names(&self.user), None);
        let finished = client
            .state
            .finish(&mut OsRng, password.as_bytes(), response, parameters)
            .unwrap();
        finished.message.serialize().to_vec()
    }

    pub(crate) async fn upload(&self, upload: &[u8], authority: Value) -> Result<Value, CallError> {
        let body = json!({ "upload": to_hex(upload), "authority": authority });
        self.post("/v1/payment-password", &body, &fresh_key()).await
    }

    pub(crate) async fn set_password(
        &self,
        password: &str,
        authority: Value,
    ) -> Result<Value, CallError> {
        let upload = self.registration(password).await;
        self.upload(&upload, authority).await
    }

    /// A login up to the third message; `None` in place of it when the phone finds the password wrong.
    pub(crate) async fn try_login(&self, password: &str) -> Result<Option<Login>, CallError> {
        let client = ClientLogin::<Suite>::start(&mut OsRng, password.as_bytes()).unwrap();
        let ke1 = client.message.serialize().to_vec();
        let answer = self
            .post(
                "/v1/payment-password/logins",
                &json!({ "ke1": to_hex(&ke1) }),
                &fresh_key(),
            )
            .await?;
        let ke2 = unhex(&answer["ke2"]);
        let finished = client.state.finish(
            &mut OsRng,
            password.as_bytes(),
            CredentialResponse::deserialize(&ke2).unwrap(),
            ClientLoginFinishParameters::new(Some(CONTEXT), names(&self.user), None),
        );
        Ok(finished.ok().map(|finished| Login {
            id: answer["login_id"].as_str().unwrap().to_owned(),
            ke1,
            ke2,
            ke3: finished.message.serialize().to_vec(),
            key: finished.session_key.to_vec(),
            tries_left: answer["tries_left"].as_i64().unwrap(),
        }))
    }

    pub(crate) async fn login(&self) -> Login {
        self.try_login(PASSWORD).await.unwrap().unwrap()
    }

    /// Spends a try on a wrong password.
    pub(crate) async fn guess(&self) {
        assert!(self.try_login(WRONG).await.unwrap().is_none());
    }

    pub(crate) async fn password(&self) -> (String, i64) {
        let device = self.get("/v1/device").await.unwrap();
        let password = &device["password"];
        (
            password["state"].as_str().unwrap().to_owned(),
            password["tries_left"].as_i64().unwrap(),
        )
    }

    pub(crate) fn bound(
        &self,
        amount_minor: i64,
        currency: &str,
        payee: &str,
        key: &str,
    ) -> Vec<u8> {
        bind(
            "tapcore-confirmation-v1",
            &[
                self.id.as_bytes(),
                &amount_minor.to_be_bytes(),
                currency.as_bytes(),
                payee.as_bytes(),
                key.as_bytes(),
            ],
        )
    }

    /// Asks for the confirmation of 12.50 yuan to a restaurant.
    pub(crate) async fn confirm(&self, method: &Value, key: &str) -> Result<Value, CallError> {
        self.post("/v1/confirmations", &dinner(method), key).await
    }

    /// The same, rightly confirmed by password.
    pub(crate) async fn pay(&self) -> Result<Value, CallError> {
        let (login, key) = (self.login().await, fresh_key());
        let method = by_password(&login, &self.bound(1250, "CNY", "Mapo Tofu House", &key));
        self.confirm(&method, &key).await
    }

    pub(crate) async fn begin_reset(&self) -> Result<Value, CallError> {
        let body = json!({ "sealed_card": a_box() });
        self.post("/v1/payment-password/resets", &body, &fresh_key())
            .await
    }

    pub(crate) async fn verify_reset(&self, reset: &Value, code: &str) -> Result<Value, CallError> {
        let id = reset["reset_id"].as_str().unwrap();
        let path = format!("/v1/payment-password/resets/{id}/verify");
        self.post(&path, &json!({ "code": code }), &fresh_key())
            .await
    }
}

pub(crate) fn dinner(method: &Value) -> Value {
    json!({ "amount_minor": 1250, "currency": "CNY", "payee": "Mapo Tofu House", "method": method })
}

pub(crate) fn by_password(login: &Login, message: &[u8]) -> Value {
    let mut method = login.over(message);
    method["kind"] = json!("password");
    method
}

pub(crate) fn set(tries_left: i64) -> (String, i64) {
    ("set".to_owned(), tries_left)
}

/// The provider's own file, opened beside it as a thief or a crash would.
pub(crate) async fn beside(bench: &Bench) -> AnyPool {
    AnyPool::connect(&sqlite_url(&bench.folder.path().join("provider.db")))
        .await
        .unwrap()
}

pub(crate) async fn run(db: &AnyPool, sql: &'static str) {
    sqlx::raw_sql(sql).execute(db).await.unwrap();
}

pub(crate) async fn tries_in(db: &AnyPool) -> i64 {
    let row = sqlx::query("SELECT tries_left FROM passwords")
        .fetch_one(db)
        .await
        .unwrap();
    row.try_get(0).unwrap()
}
