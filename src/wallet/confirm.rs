//! Confirming a payment to the provider: by the verified key, or by the payment password.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::person::{keep, person_in};
use super::{Wallet, WalletError};
use crate::account::Money;
use crate::backend::protocol::{
    ConfirmationAnswer, ConfirmationKeyRequest, ConfirmationRequest, Method,
};
use crate::backend::{Backend, fresh_key};
use crate::bind::bind;

/// The longest name of a payee, in characters.
const PAYEE: usize = 140;

impl Wallet {
    /// Confirms a payment by a verification of the person, which is used up whatever comes of it.
    ///
    /// # Errors
    /// [`WalletError::NotVerified`] when the verification is over, was used, or was for another amount.
    pub async fn confirm_payment(
        self: &Arc<Self>,
        money: Money,
        payee: &str,
        verification_id: &str,
    ) -> Result<ConfirmationAnswer, WalletError> {
        self.confirm_payment_under(&fresh_key(), money, payee, verification_id)
            .await
    }

    /// The same under the idempotency key of the request that it is for.
    pub(super) async fn confirm_payment_under(
        self: &Arc<Self>,
        idempotency_key: &str,
        money: Money,
        payee: &str,
        verification_id: &str,
    ) -> Result<ConfirmationAnswer, WalletError> {
        check(money, payee)?;
        let (backend, enrolment) = self.backend().await?;
        self.register_confirmation_key(&backend, &enrolment.answer.device_id)
            .await?;
        let key = self.take_for_payment(verification_id, money)?;
        let message = message(&enrolment.answer.device_id, money, payee, idempotency_key);
        let method = Method::Device {
            signature: hex::encode_upper(key.confirm(&message)?),
        };
        drop(key);
        send(&backend, money, payee, method, idempotency_key).await
    }

    /// Confirms a payment by the payment password.
    ///
    /// # Errors
    /// [`WalletError::PasswordWrong`] with the tries that are left; [`BackendError::Refused`](crate::backend::BackendError)
    /// with `password_locked` or `password_not_set`.
    pub async fn confirm_with_password(
        self: &Arc<Self>,
        money: Money,
        payee: &str,
        password: Zeroizing<String>,
    ) -> Result<ConfirmationAnswer, WalletError> {
        self.confirm_with_password_under(&fresh_key(), money, payee, password)
            .await
    }

    /// The same under the idempotency key of the request that it is for.
    pub(super) async fn confirm_with_password_under(
        self: &Arc<Self>,
        idempotency_key: &str,
        money: Money,
        payee: &str,
        password: Zeroizing<String>,
    ) -> Result<ConfirmationAnswer, WalletError> {
        check(money, payee)?;
        let (backend, enrolment) = self.backend().await?;
        let (login_id, proven) = self
            .log_in(&backend, &enrolment.answer.user_id, password)
            .await?;
        let message = message(&enrolment.answer.device_id, money, payee, idempotency_key);
        let method = Method::Password {
            login_id,
            ke3: hex::encode_upper(&proven.ke3),
            mac: hex::encode_upper(proven.mac(&message)),
        };
        send(&backend, money, payee, method, idempotency_key).await
    }

    /// Tells the provider the public half, once for each verified key.
    pub(super) async fn register_confirmation_key(
        self: &Arc<Self>,
        backend: &Backend,
        device: &str,
    ) -> Result<(), WalletError> {
        let device = device.to_owned();
        let request = self
            .blocking(move |_, opened| {
                let person = person_in(opened)?.ok_or(WalletError::NoPerson)?;
                if person.registered {
                    return Ok(None);
                }
                let public = &person.public.confirmation;
                let key = hex::decode(public).unwrap_or_default();
                let parts = [device.as_bytes(), &key];
                let proof = opened
                    .hierarchy
                    .sign(&bind("tapcore-confirmation-key-v1", &parts))?;
                Ok(Some(ConfirmationKeyRequest {
                    public_key: public.clone(),
                    proof: hex::encode_upper(proof),
                }))
            })
            .await?;
        let Some(request) = request else {
            return Ok(());
        };
        let _: serde_json::Value = backend
            .post("/v1/confirmation-key", &request, &fresh_key())
            .await?;
        self.with_keys(move |_, opened| {
            let mut person = person_in(opened)?.ok_or(WalletError::NoPerson)?;
            // The person may have been set up anew meanwhile.
            if person.public.confirmation == request.public_key {
                person.registered = true;
                keep(opened, &person)?;
            }
            Ok(())
        })
        .await
    }
}

fn check(money: Money, payee: &str) -> Result<(), WalletError> {
    if money.minor <= 0 {
        return Err(WalletError::Input("the amount must be above zero"));
    }
    if payee.is_empty() || payee.chars().count() > PAYEE || payee.chars().any(char::is_control) {
        return Err(WalletError::Input(
            "the payee has 1 to 140 plain characters",
        ));
    }
    Ok(())
}

fn message(device: &str, money: Money, payee: &str, idempotency_key: &str) -> Vec<u8> {
    bind(
        "tapcore-confirmation-v1",
        &[
            device.as_bytes(),
            &money.minor.to_be_bytes(),
            money.currency.code().as_bytes(),
            payee.as_bytes(),
            idempotency_key.as_bytes(),
        ],
    )
}

async fn send(
    backend: &Backend,
    money: Money,
    payee: &str,
    method: Method,
    idempotency_key: &str,
) -> Result<ConfirmationAnswer, WalletError> {
    let request = ConfirmationRequest {
        amount_minor: money.minor,
        currency: money.currency.code().to_owned(),
        payee: payee.to_owned(),
        method,
    };
    let answer = backend.post("/v1/confirmations", &request, idempotency_key);
    Ok(answer.await?)
}
