//! The payment password: set, changed, forgotten, used. The provider checks it and never receives it.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::add_card::{check_code, seal_card};
use super::{Wallet, WalletError};
use crate::backend::protocol::{
    Authority, LoginAnswer, LoginRequest, RegistrationAnswer, RegistrationRequest, ResetAnswer,
    ResetRequest, ResetVerifyRequest, SetRequest,
};
use crate::backend::{Backend, BackendError, fresh_key};
use crate::bind::bind;
use crate::vault::{PasswordLogin, PasswordRegistration, ProvenPassword, VaultError};

impl Wallet {
    /// Sets the first payment password.
    ///
    /// # Errors
    /// [`WalletError::Input`]; [`BackendError::Refused`] with `password_set_already`.
    pub async fn set_payment_password(
        self: &Arc<Self>,
        password: Zeroizing<String>,
    ) -> Result<(), WalletError> {
        check(&password)?;
        let (backend, enrolment) = self.backend().await?;
        let upload = self
            .register(&backend, &enrolment.answer.user_id, password)
            .await?;
        put(&backend, upload, None).await
    }

    /// Changes the payment password.
    ///
    /// # Errors
    /// [`WalletError::PasswordWrong`]; [`BackendError::Refused`] with `password_locked` or `password_not_set`.
    pub async fn change_payment_password(
        self: &Arc<Self>,
        old: Zeroizing<String>,
        new: Zeroizing<String>,
    ) -> Result<(), WalletError> {
        check(&new)?;
        let (backend, enrolment) = self.backend().await?;
        let user = &enrolment.answer.user_id;
        let upload = self.register(&backend, user, new).await?;
        let (login_id, proven) = self.log_in(&backend, user, old).await?;
        let parts = [enrolment.answer.device_id.as_bytes(), &upload];
        let message = bind("tapcore-password-change-v1", &parts);
        let authority = Authority::Old {
            login_id,
            ke3: hex::encode_upper(&proven.ke3),
            mac: hex::encode_upper(proven.mac(&message)),
        };
        put(&backend, upload, Some(authority)).await
    }

    /// Begins a reset of a password that was forgotten or locked: the bank of one of the person's cards sends a code.
    ///
    /// # Errors
    /// [`BackendError::Refused`] with `card_not_yours` when the card is none of this wallet's.
    pub async fn begin_password_reset(
        self: &Arc<Self>,
        number: &str,
        expiry: &str,
    ) -> Result<ResetAnswer, WalletError> {
        let (backend, enrolment) = self.backend().await?;
        let request = ResetRequest {
            sealed_card: seal_card(&enrolment, number, expiry)?,
        };
        Ok(backend
            .post("/v1/payment-password/resets", &request, &fresh_key())
            .await?)
    }

    /// Sets a new password with the code from the bank.
    ///
    /// # Errors
    /// [`BackendError::Refused`] with `sms_code_wrong` and the tries that are left.
    pub async fn finish_password_reset(
        self: &Arc<Self>,
        reset_id: &str,
        code: &str,
        new: Zeroizing<String>,
    ) -> Result<(), WalletError> {
        check(&new)?;
        let code = check_code(code)?;
        let (backend, enrolment) = self.backend().await?;
        let upload = self
            .register(&backend, &enrolment.answer.user_id, new)
            .await?;
        let path = format!("/v1/payment-password/resets/{reset_id}/verify");
        let _: serde_json::Value = backend
            .post(&path, &ResetVerifyRequest { code }, &fresh_key())
            .await?;
        let authority = Authority::Reset {
            reset_id: reset_id.to_owned(),
        };
        put(&backend, upload, Some(authority)).await
    }

    /// Proves the password; answers the login and what both sides have now.
    pub(super) async fn log_in(
        &self,
        backend: &Backend,
        user_id: &str,
        password: Zeroizing<String>,
    ) -> Result<(String, ProvenPassword), WalletError> {
        // None was ever set that is no password, and a wrong one costs a try.
        check(&password)?;
        let (login, ke1) = PasswordLogin::start(&password)?;
        let request = LoginRequest {
            ke1: hex::encode_upper(ke1),
        };
        let answer: LoginAnswer = backend
            .post("/v1/payment-password/logins", &request, &fresh_key())
            .await?;
        let ke2 = hex::decode(&answer.ke2).map_err(|_| BackendError::Malformed)?;
        let user_id = user_id.to_owned();
        // Stretching takes its time, so it is done where blocking is allowed.
        let task = self
            .runtime
            .spawn_blocking(move || login.finish(&password, &ke2, &user_id));
        match task.await.map_err(|_| WalletError::Interrupted)? {
            Ok(proven) => Ok((answer.login_id, proven)),
            Err(VaultError::WrongPassword) => Err(WalletError::PasswordWrong(answer.tries_left)),
            Err(error) => Err(error.into()),
        }
    }

    async fn register(
        &self,
        backend: &Backend,
        user_id: &str,
        password: Zeroizing<String>,
    ) -> Result<Vec<u8>, WalletError> {
        let (registration, request) = PasswordRegistration::start(&password)?;
        let request = RegistrationRequest {
            request: hex::encode_upper(request),
        };
        let answer: RegistrationAnswer = backend
            .post("/v1/payment-password/registrations", &request, &fresh_key())
            .await?;
        let response = hex::decode(&answer.response).map_err(|_| BackendError::Malformed)?;
        let user_id = user_id.to_owned();
        let task = self
            .runtime
            .spawn_blocking(move || registration.finish(&password, &response, &user_id));
        Ok(task.await.map_err(|_| WalletError::Interrupted)??)
    }
}

async fn put(
    backend: &Backend,
    upload: Vec<u8>,
    authority: Option<Authority>,
) -> Result<(), WalletError> {
    let request = SetRequest {
        upload: hex::encode_upper(upload),
        authority,
    };
    let _: serde_json::Value = backend
        .post("/v1/payment-password", &request, &fresh_key())
        .await?;
    Ok(())
}

fn check(password: &str) -> Result<(), WalletError> {
    match (6..=64).contains(&password.chars().count()) {
        true => Ok(()),
        false => Err(WalletError::Input(
            "a payment password has 6 to 64 characters",
        )),
    }
}
