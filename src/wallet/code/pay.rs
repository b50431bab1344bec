//! Payments by code that need the person's word, and payments by a code that the shop shows.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::unanswered::{Known, Sent};
use super::{CodePayment, CodePaymentState, CodeState};
use crate::account::{Currency, Money};
use crate::backend::protocol::{
    AcceptanceAnswer, CodeConfirmRequest, CodePaymentAnswer, MerchantCodeAnswer,
    MerchantCodeRequest, MerchantPaymentRequest, RefusedClass,
};
use crate::backend::{Backend, BackendError, fresh_key};
use crate::code::mpm::{self, AdditionalData, Tip};
use crate::text::visible;
use crate::token::TokenRef;
use crate::wallet::permit::paying;
use crate::wallet::{Wallet, WalletError};

/// What proves the person for a payment by code.
pub enum CodeProof {
    /// The payment password.
    Password(Zeroizing<String>),
    /// A finished verification for this payment's amount.
    Verification(String),
}

/// Where codes are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeAcceptance {
    /// Merchant categories that are refused, and why; every other is accepted.
    pub refused_classes: Vec<RefusedClass>,
    /// The countries where codes are taken, ISO 3166 numeric in four digits.
    pub countries: Vec<String>,
    /// The stable word for why not elsewhere.
    pub elsewhere: String,
    /// Above this amount the payment password is asked for.
    pub password_above: Money,
}

/// A shop's code, read, with whom the provider knows behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MerchantOffer {
    /// The code as it was read.
    pub code: String,
    /// The idempotency key of its payment: however often it is sent, it is paid once.
    pub payment_key: String,
    /// Whom the money goes to, as the provider knows it.
    pub payee: String,
    /// The name in the code, without what cannot be seen of it. Anybody can print it: for comparison, not for the screen alone.
    pub claimed_name: String,
    /// The payee's city.
    pub city: String,
    /// Merchant category, four digits (ISO 18245).
    pub category: String,
    /// What is to be paid, where the code says; else the person is asked.
    pub money: Option<Money>,
    /// The currency that is paid in.
    pub currency: Currency,
    /// What the shop would like on top. It is told, not added: [`Wallet::pay_merchant`] pays the code's own sum.
    pub tip: Option<Tip>,
    /// Whether it was made for one payment.
    pub once: bool,
    /// The bill or order.
    pub bill: Option<String>,
}

/// What came of a payment that was sent.
enum Sending {
    Told(CodePayment),
    /// It was not taken, and never will be under this key.
    Refused(BackendError),
}

impl Sending {
    fn was_refused(&self) -> bool {
        match self {
            Self::Told(paid) => matches!(
                paid.state,
                CodePaymentState::Declined | CodePaymentState::Revoked
            ),
            Self::Refused(_) => true,
        }
    }
}

impl Wallet {
    /// Confirms a payment by code that waits for the person.
    ///
    /// # Errors
    /// [`WalletError::PasswordWrong`], [`WalletError::NotVerified`]; [`BackendError`] with
    /// `confirmation_invalid` or `password_locked`. What waits no more is answered as it stands.
    pub async fn confirm_code_payment(
        self: &Arc<Self>,
        payment: &CodePayment,
        proof: CodeProof,
    ) -> Result<CodePayment, WalletError> {
        let key = fresh_key();
        let (money, payee) = (payment.money, payment.merchant.as_str());
        let confirmed = match proof {
            CodeProof::Password(password) => {
                self.confirm_with_password_under(&key, money, payee, password)
                    .await?
            }
            CodeProof::Verification(id) => {
                self.confirm_payment_under(&key, money, payee, &id).await?
            }
        };
        let (backend, _) = self.backend().await?;
        let path = format!("/v1/codes/payments/{}/confirm", payment.payment_id);
        let request = CodeConfirmRequest {
            confirmation_id: confirmed.confirmation_id,
        };
        let answer: CodePaymentAnswer = backend.post(&path, &request, &key).await?;
        let paid = CodePayment::of(answer)?;
        self.take_in_payment(&paid);
        if paid.state.is_final() {
            // Where it cannot be noted, the statement says it soon.
            drop(self.note_decided(paid.payment_id.clone()).await);
        }
        Ok(paid)
    }

    /// Where codes of this provider are taken.
    ///
    /// # Errors
    /// [`BackendError`] when the provider cannot be reached.
    pub async fn code_acceptance(self: &Arc<Self>) -> Result<CodeAcceptance, WalletError> {
        let (backend, _) = self.backend().await?;
        let answer: AcceptanceAnswer = backend.get("/v1/codes/acceptance").await?;
        Ok(CodeAcceptance {
            refused_classes: answer.refused_classes,
            countries: answer.countries,
            elsewhere: answer.elsewhere,
            password_above: Money {
                minor: answer.password_above_minor,
                currency: answer.currency,
            },
        })
    }

    /// Reads a code that a shop shows, and asks the provider whose it is.
    ///
    /// # Errors
    /// [`WalletError::MerchantCode`] says what is damaged, without asking anybody;
    /// [`BackendError`] with `payee_unknown`.
    pub async fn read_merchant_code(
        self: &Arc<Self>,
        code: &str,
    ) -> Result<MerchantOffer, WalletError> {
        let code = code.trim();
        let claimed = mpm::parse(code)?;
        let (backend, _) = self.backend().await?;
        let request = MerchantCodeRequest {
            code: code.to_owned(),
        };
        let known: MerchantCodeAnswer = backend
            .post("/v1/merchant-codes", &request, &fresh_key())
            .await?;
        let currency = known.currency;
        let bill = claimed.additional.get(AdditionalData::BILL);
        Ok(MerchantOffer {
            code: code.to_owned(),
            payment_key: fresh_key(),
            payee: known.payee,
            claimed_name: visible(&claimed.name),
            city: known.city,
            category: known.category,
            money: known.amount_minor.map(|minor| Money { minor, currency }),
            currency,
            tip: claimed.tip,
            once: known.once,
            bill: known.bill.or_else(|| bill.map(visible)),
        })
    }

    /// Pays what a shop's code asks for, from an account or the default one. Asked again while it is pending, it answers how
    /// the payment stands. As long as nobody was told the end of it, and for ten minutes at most, the same sum by the same
    /// code is the same payment, from the account that it was sent for, whether the app was killed in between or not.
    ///
    /// # Errors
    /// [`WalletError::Input`] when the amount is not the code's; [`WalletError::NoSuchCard`];
    /// [`BackendError`] with `order_paid`, `amount_differs`, `account_not_active`.
    pub async fn pay_merchant(
        self: &Arc<Self>,
        offer: &MerchantOffer,
        money: Money,
        account: Option<TokenRef>,
    ) -> Result<CodePayment, WalletError> {
        if money.minor <= 0 || money.currency != offer.currency {
            return Err(WalletError::Input(
                "the amount must be above zero, in the shop's currency",
            ));
        }
        if offer.money.is_some_and(|asked| asked != money) {
            return Err(WalletError::Input(
                "the shop's code asks for another amount: pay what it says, or ask for a new one",
            ));
        }
        let account = self.paying_account(account).await?;
        let (backend, _) = self.backend().await?;
        let key = offer.payment_key.clone();
        let wish = Sent::new(offer.code.clone(), account, money, key);
        let mut sent = self.sending(wish.clone()).await?;
        let mut answer = self.send(&backend, &sent).await;
        if sent.key != wish.key && answer.as_ref().is_ok_and(|answer| answer.was_refused()) {
            // What was sent for another offer came to nothing, which is no answer to this one.
            sent = self.sending(wish).await?;
            answer = self.send(&backend, &sent).await;
        }
        match answer? {
            Sending::Told(paid) => Ok(paid),
            Sending::Refused(error) => Err(error.into()),
        }
    }

    /// Sends a payment that was written down, and notes what came of it.
    async fn send(
        self: &Arc<Self>,
        backend: &Backend,
        sent: &Sent,
    ) -> Result<Sending, BackendError> {
        let request = MerchantPaymentRequest {
            code: sent.code.clone(),
            token_ref: sent.account.clone(),
            money: sent.money,
        };
        let answer: Result<CodePaymentAnswer, BackendError> = backend
            .post("/v1/merchant-payments", &request, &sent.key)
            .await;
        let (told, known) = match answer.and_then(CodePayment::of) {
            Ok(paid) => {
                let known = match paid.state {
                    CodePaymentState::Pending => Known::Pending(paid.payment_id.clone()),
                    CodePaymentState::Approved => Known::Decided,
                    CodePaymentState::Declined | CodePaymentState::Revoked => Known::Refused,
                };
                (Sending::Told(paid), known)
            }
            Err(BackendError::Refused(refusal)) if refusal.is_final() => {
                let error = BackendError::Refused(refusal);
                (Sending::Refused(error), Known::Refused)
            }
            Err(error) => return Err(error),
        };
        // Where it cannot be noted, it is the same payment for some minutes, and answered as it stands.
        drop(self.note_sent(sent.key.clone(), known).await);
        if matches!(&told, Sending::Told(paid) if paid.state.is_final()) {
            self.sync_soon();
        }
        Ok(told)
    }

    async fn paying_account(
        self: &Arc<Self>,
        asked: Option<TokenRef>,
    ) -> Result<TokenRef, WalletError> {
        self.blocking(move |_, opened| {
            let paying = paying(opened)?.into_iter();
            let mut accounts = paying.map(|stored| stored.token.reference);
            let account = match asked {
                Some(asked) => accounts.find(|account| *account == asked),
                None => accounts.next(),
            };
            account.ok_or(WalletError::NoSuchCard)
        })
        .await
    }

    /// The screen need not wait for the provider to say what it has just said.
    fn take_in_payment(self: &Arc<Self>, paid: &CodePayment) {
        {
            let mut showing = self.codes.lock();
            let of_code = showing.as_mut().filter(|showing| {
                matches!(&showing.state, CodeState::Used(shown) if shown.payment_id == paid.payment_id)
            });
            if let Some(showing) = of_code {
                showing.end(CodeState::Used(paid.clone()));
            }
        }
        self.codes.changed();
        if paid.state.is_final() {
            self.sync_soon();
        }
    }
}
