//! The person at the phone: PIN, fingerprint or face, payment password, confirmations.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::runtime::{contact, run};
use super::{Wallet, WalletError};
use crate::account::{Currency, Money};
use crate::{backend, wallet};

/// What a person is asked for.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Purpose {
    /// One payment of this amount, which the person sees (two-tap).
    Payment {
        /// Minor units.
        amount_minor: i64,
        /// ISO 4217.
        currency: String,
    },
    /// One payment up to this amount, ahead of knowing it (one-tap).
    UpTo {
        /// Minor units.
        amount_minor: i64,
        /// ISO 4217.
        currency: String,
    },
    /// Unlocking the wallet, or changing PIN and fingerprint.
    Access,
}

/// What the prompt must open: unwrap `wrapped` by the key `alias` inside it.
#[derive(Clone, Debug, uniffi::Record)]
pub struct VerificationRequest {
    /// To be given back with the outcome.
    pub id: String,
    /// The platform key that needs the person.
    pub alias: String,
    /// What it must unwrap.
    pub wrapped: Vec<u8>,
}

/// How the prompt ended. No `Debug`: the key may be in it.
#[derive(uniffi::Enum)]
#[uniffi::export(Display)]
pub enum PromptOutcome {
    /// The person was there.
    Unwrapped {
        /// What came out of `wrapped`; wipe your copy.
        key: Vec<u8>,
    },
    /// The person closed the prompt.
    Cancelled,
    /// The platform has invalidated the key: the enrolled biometrics changed.
    Invalidated,
}

/// What proves the person where no payment is confirmed. No `Debug`: the PIN may be in it.
#[derive(uniffi::Enum)]
#[uniffi::export(Display)]
pub enum PersonProof {
    /// The PIN.
    Pin {
        /// Its digits.
        pin: String,
    },
    /// A finished verification for [`Purpose::Access`].
    Verification {
        /// Its identifier.
        id: String,
    },
}

// The bindings would print every field of these; with a text of their own, a line in an app's log gives nothing away.

impl fmt::Display for PromptOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unwrapped { .. } => "PromptOutcome.Unwrapped",
            Self::Cancelled => "PromptOutcome.Cancelled",
            Self::Invalidated => "PromptOutcome.Invalidated",
        })
    }
}

impl fmt::Display for PersonProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pin { .. } => "PersonProof.Pin",
            Self::Verification { .. } => "PersonProof.Verification",
        })
    }
}

/// A payment that the provider took as confirmed by the person.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Confirmation {
    /// To be shown with the payment.
    pub id: String,
    /// Until when, RFC 3339.
    pub expires_at: String,
}

/// A password reset that waits for the code which the bank has sent.
#[derive(Clone, Debug, uniffi::Record)]
pub struct PasswordReset {
    /// To be given with the code.
    pub id: String,
    /// The card's last four digits.
    pub masked_card: String,
    /// The bank that has sent the code.
    pub bank: String,
    /// Until when the code is good, RFC 3339.
    pub expires_at: String,
    /// Tries.
    pub tries_left: u32,
}

#[uniffi::export]
impl Wallet {
    /// Sets or changes the PIN (6 to 12 digits). The first one needs no proof.
    pub async fn set_pin(
        &self,
        pin: String,
        proof: Option<PersonProof>,
    ) -> Result<(), WalletError> {
        let (wallet, pin) = (Arc::clone(&self.inner), Zeroizing::new(pin));
        let proof = proof.map(Into::into);
        run(async move { wallet.set_pin(pin, proof).await }).await
    }

    /// Sets fingerprint or face up, or up again after the enrolled ones changed. Where there is a PIN, give it.
    pub async fn set_up_verification(&self, proof: Option<PersonProof>) -> Result<(), WalletError> {
        let wallet = Arc::clone(&self.inner);
        let proof = proof.map(Into::into);
        run(async move { wallet.set_up_verification(proof).await }).await
    }

    /// Locks the wallet: nothing pays until it is unlocked, whatever is started again or put back. Needs no network.
    pub async fn lock(&self) -> Result<(), WalletError> {
        let wallet = Arc::clone(&self.inner);
        run(async move { wallet.lock().await }).await
    }

    /// Unlocks the wallet and arms its cards.
    pub async fn unlock(&self, proof: PersonProof) -> Result<(), WalletError> {
        let wallet = Arc::clone(&self.inner);
        let proof = proof.into();
        run(async move { wallet.unlock(proof).await }).await
    }

    /// Begins a verification by fingerprint or face: show the prompt, unwrap inside it, give the outcome back.
    pub async fn begin_verification(
        &self,
        purpose: Purpose,
    ) -> Result<VerificationRequest, WalletError> {
        let wallet = Arc::clone(&self.inner);
        let purpose = purpose.try_into()?;
        run(async move {
            let request = wallet.begin_verification(purpose).await?;
            Ok(VerificationRequest {
                id: request.id,
                alias: request.alias,
                wrapped: request.wrapped,
            })
        })
        .await
    }

    /// Ends a verification. It is good once, for its purpose, for the provider's window (a minute).
    pub async fn finish_verification(
        &self,
        id: String,
        outcome: PromptOutcome,
    ) -> Result<(), WalletError> {
        let wallet = Arc::clone(&self.inner);
        let outcome = match outcome {
            PromptOutcome::Unwrapped { key } => {
                wallet::PromptOutcome::Unwrapped(Zeroizing::new(key))
            }
            PromptOutcome::Cancelled => wallet::PromptOutcome::Cancelled,
            PromptOutcome::Invalidated => wallet::PromptOutcome::Invalidated,
        };
        run(async move { wallet.finish_verification(&id, outcome).await }).await
    }

    /// Verifies the person by the PIN; answers the verification's identifier.
    pub async fn verify_with_pin(
        &self,
        pin: String,
        purpose: Purpose,
    ) -> Result<String, WalletError> {
        let (wallet, pin) = (Arc::clone(&self.inner), Zeroizing::new(pin));
        let purpose = purpose.try_into()?;
        run(async move { wallet.verify_with_pin(pin, purpose).await }).await
    }

    /// Confirms a payment to the provider by a verification, which is used up.
    pub async fn confirm_payment(
        &self,
        amount_minor: i64,
        currency: String,
        payee: String,
        verification_id: String,
    ) -> Result<Confirmation, WalletError> {
        let wallet = Arc::clone(&self.inner);
        let money = money(amount_minor, &currency)?;
        contact(&self.inner, async move {
            let confirmed = wallet.confirm_payment(money, &payee, &verification_id);
            Ok(confirmed.await?.into())
        })
        .await
    }

    /// Confirms a payment to the provider by the payment password, which never leaves the phone.
    pub async fn confirm_with_password(
        &self,
        amount_minor: i64,
        currency: String,
        payee: String,
        password: String,
    ) -> Result<Confirmation, WalletError> {
        let (wallet, password) = (Arc::clone(&self.inner), Zeroizing::new(password));
        let money = money(amount_minor, &currency)?;
        contact(&self.inner, async move {
            let confirmed = wallet.confirm_with_password(money, &payee, password);
            Ok(confirmed.await?.into())
        })
        .await
    }

    /// Sets the first payment password (6 to 64 characters).
    pub async fn set_payment_password(&self, password: String) -> Result<(), WalletError> {
        let (wallet, password) = (Arc::clone(&self.inner), Zeroizing::new(password));
        contact(&self.inner, async move {
            wallet.set_payment_password(password).await
        })
        .await
    }

    /// Changes the payment password.
    pub async fn change_payment_password(
        &self,
        old: String,
        new: String,
    ) -> Result<(), WalletError> {
        let wallet = Arc::clone(&self.inner);
        let (old, new) = (Zeroizing::new(old), Zeroizing::new(new));
        contact(&self.inner, async move {
            wallet.change_payment_password(old, new).await
        })
        .await
    }

    /// Begins a reset of a forgotten or locked payment password: the bank of one of the person's cards sends a code.
    pub async fn begin_password_reset(
        &self,
        number: String,
        expiry: String,
    ) -> Result<PasswordReset, WalletError> {
        let (wallet, number) = (Arc::clone(&self.inner), Zeroizing::new(number));
        contact(&self.inner, async move {
            let reset = wallet.begin_password_reset(&number, &expiry).await?;
            Ok(PasswordReset {
                id: reset.reset_id,
                masked_card: reset.masked,
                bank: reset.bank,
                expires_at: reset.sms_expires_at,
                tries_left: reset.tries_left,
            })
        })
        .await
    }

    /// Sets a new payment password with the code from the bank.
    pub async fn finish_password_reset(
        &self,
        reset_id: String,
        code: String,
        password: String,
    ) -> Result<(), WalletError> {
        let wallet = Arc::clone(&self.inner);
        let (code, password) = (Zeroizing::new(code), Zeroizing::new(password));
        contact(&self.inner, async move {
            wallet
                .finish_password_reset(&reset_id, &code, password)
                .await
        })
        .await
    }
}

pub(super) fn money(amount_minor: i64, currency: &str) -> Result<Money, WalletError> {
    let currency = Currency::from_code(currency).ok_or_else(|| WalletError::Invalid {
        detail: "A currency is three letters of ISO 4217, such as CNY.".into(),
    })?;
    Ok(Money {
        minor: amount_minor,
        currency,
    })
}

impl TryFrom<Purpose> for wallet::Purpose {
    type Error = WalletError;

    fn try_from(purpose: Purpose) -> Result<Self, WalletError> {
        Ok(match purpose {
            Purpose::Payment {
                amount_minor,
                currency,
            } => Self::Payment(money(amount_minor, &currency)?),
            Purpose::UpTo {
                amount_minor,
                currency,
            } => Self::UpTo(money(amount_minor, &currency)?),
            Purpose::Access => Self::Access,
        })
    }
}

impl From<PersonProof> for wallet::Proof {
    fn from(proof: PersonProof) -> Self {
        match proof {
            PersonProof::Pin { pin } => Self::Pin(Zeroizing::new(pin)),
            PersonProof::Verification { id } => Self::Verification(id),
        }
    }
}

impl From<backend::protocol::ConfirmationAnswer> for Confirmation {
    fn from(answer: backend::protocol::ConfirmationAnswer) -> Self {
        Self {
            id: answer.confirmation_id,
            expires_at: answer.expires_at,
        }
    }
}
