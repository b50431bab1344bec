//! Payment codes: shown to a shop, and a shop's own code read and paid.
//!
//! A [`CodeView`] is a subscription: a screen asks for [`next`](CodeView::next) in a loop and draws what it is given, the
//! code as a symbol ([`qr_symbol`], [`barcode_symbol`]). It keeps no time of its own.

use std::sync::{Arc, Weak};

use zeroize::Zeroizing;

use super::person::money;
use super::runtime::{contact, run};
use super::{
    CodeAcceptance, CodeKind, CodePayment, CodeShown, CodeSymbol, MerchantOffer, Wallet,
    WalletError,
};
use crate::code::symbol::{code128, qr};
use crate::token::TokenRef;
use crate::wallet;

/// A code on the screen, from when it is shown until it is closed. Letting go of it closes it too.
#[derive(uniffi::Object)]
pub struct CodeView {
    /// An answer that concerns the whole phone is heeded here too. A view that is forgotten keeps no wallet open.
    wallet: Weak<wallet::Wallet>,
    inner: Arc<wallet::CodeView>,
}

#[uniffi::export]
impl Wallet {
    /// Shows a payment code of a card, or of the default one. Works without a network while codes are left. After a
    /// screenshot and after digits were revealed, give the identifier of a finished verification for access, where a PIN or
    /// fingerprint is set up. One code is shown at a time: the one before ends.
    #[uniffi::method(default(token_ref = None, verification_id = None))]
    pub async fn show_code(
        &self,
        kind: CodeKind,
        token_ref: Option<String>,
        verification_id: Option<String>,
    ) -> Result<Arc<CodeView>, WalletError> {
        let wallet = Arc::clone(&self.inner);
        let account = token_ref.map(TokenRef::new);
        let inner = contact(&self.inner, async move {
            wallet
                .show_code(kind.into(), account, verification_id)
                .await
        });
        Ok(Arc::new(CodeView {
            inner: inner.await?,
            wallet: Arc::downgrade(&self.inner),
        }))
    }

    /// Asks the provider for codes to be shown without a network, where they run low; answers how many came. `sync` does so
    /// too.
    pub async fn refill_codes(&self) -> Result<u32, WalletError> {
        let wallet = Arc::clone(&self.inner);
        contact(&self.inner, async move { wallet.refill_codes().await }).await
    }

    /// Confirms a payment by code that waits for the person, by a verification for exactly its amount, which is used up.
    pub async fn confirm_code_payment(
        &self,
        payment: CodePayment,
        verification_id: String,
    ) -> Result<CodePayment, WalletError> {
        self.confirm(payment, wallet::CodeProof::Verification(verification_id))
            .await
    }

    /// Confirms a payment by code that waits for the person, by the payment password, which never leaves the phone.
    pub async fn confirm_code_payment_with_password(
        &self,
        payment: CodePayment,
        password: String,
    ) -> Result<CodePayment, WalletError> {
        let password = Zeroizing::new(password);
        self.confirm(payment, wallet::CodeProof::Password(password))
            .await
    }

    /// Where codes are taken, and why not elsewhere.
    pub async fn code_acceptance(&self) -> Result<CodeAcceptance, WalletError> {
        let wallet = Arc::clone(&self.inner);
        contact(&self.inner, async move {
            Ok(wallet.code_acceptance().await?.into())
        })
        .await
    }

    /// Reads a shop's code (EMV's merchant-presented code) as the camera gave its text, and asks the provider whose it is.
    pub async fn read_merchant_code(&self, code: String) -> Result<MerchantOffer, WalletError> {
        let wallet = Arc::clone(&self.inner);
        contact(&self.inner, async move {
            Ok(wallet.read_merchant_code(&code).await?.into())
        })
        .await
    }

    /// Pays a shop's code from a card, or from the default one: `amount_minor` minor units of the offer's currency, the
    /// offer's own amount where it names one. A tip is told, not added. A payment that is pending and wants the password is
    /// confirmed next; one that is pending and does not, is asked for again with the same offer, and answered as it stands by
    /// then. The same sum by the same code, within ten minutes of an answer that was lost, is paid once, over a killed app too.
    #[uniffi::method(default(token_ref = None))]
    pub async fn pay_merchant(
        &self,
        offer: MerchantOffer,
        amount_minor: i64,
        token_ref: Option<String>,
    ) -> Result<CodePayment, WalletError> {
        let wallet = Arc::clone(&self.inner);
        let money = money(amount_minor, &offer.currency)?;
        let offer: wallet::MerchantOffer = offer.try_into()?;
        let account = token_ref.map(TokenRef::new);
        contact(&self.inner, async move {
            Ok(wallet.pay_merchant(&offer, money, account).await?.into())
        })
        .await
    }
}

impl Wallet {
    async fn confirm(
        &self,
        payment: CodePayment,
        proof: wallet::CodeProof,
    ) -> Result<CodePayment, WalletError> {
        let wallet = Arc::clone(&self.inner);
        let payment: wallet::CodePayment = payment.try_into()?;
        contact(&self.inner, async move {
            let confirmed = wallet.confirm_code_payment(&payment, proof).await?;
            Ok(confirmed.into())
        })
        .await
    }
}

#[uniffi::export]
impl CodeView {
    /// What the screen shows now.
    pub fn now(&self) -> CodeShown {
        self.inner.now().into()
    }

    /// Waits for the next change, each second while a code is shown, and answers what the screen shows from then on. The
    /// first call answers at once. Nothing comes after the view was ended, or another was opened, and that was told. One caller
    /// at a time; after a call that was cancelled, `now` says what it may have answered.
    pub async fn next(&self) -> Result<Option<CodeShown>, WalletError> {
        let view = Arc::clone(&self.inner);
        run(async move { Ok(view.next().await.map(Into::into)) }).await
    }

    /// Shows the digits in clear: the code on the screen dies, and a fresh one takes its place. Needs a finished
    /// verification for access, which is used up.
    pub async fn reveal(&self, verification_id: String) -> Result<(), WalletError> {
        let view = Arc::clone(&self.inner);
        self.contact(async move { view.reveal(verification_id).await })
            .await
    }

    /// The system saw a screenshot: the code dies.
    pub async fn photographed(&self) -> Result<(), WalletError> {
        let view = Arc::clone(&self.inner);
        run(async move {
            view.photographed().await;
            Ok(())
        })
        .await
    }

    /// Shows a fresh code in the same view: after it was used, voided or refused, or after a pause. `verification_id` as for
    /// `show_code`. A view that was ended shows nothing more: use `show_code`.
    #[uniffi::method(default(verification_id = None))]
    pub async fn renew(&self, verification_id: Option<String>) -> Result<(), WalletError> {
        let view = Arc::clone(&self.inner);
        self.contact(async move { view.renew(verification_id).await })
            .await
    }

    /// Ends the showing: the code is dead at the provider at once with a network, and within its short life without one.
    // Not `close`: Kotlin's own `close` lets go of the object.
    pub async fn end(&self) -> Result<(), WalletError> {
        let view = Arc::clone(&self.inner);
        run(async move {
            view.close().await;
            Ok(())
        })
        .await
    }
}

impl CodeView {
    /// Lets the code outlive the view: for a program that prints it and ends. An app's screen has no use for it.
    pub fn detach(&self) {
        self.inner.detach();
    }

    /// As [`contact`], as long as there is a wallet.
    async fn contact(
        &self,
        work: impl Future<Output = Result<(), wallet::WalletError>> + Send + 'static,
    ) -> Result<(), WalletError> {
        match self.wallet.upgrade() {
            Some(wallet) => contact(&wallet, work).await,
            None => run(work).await,
        }
    }
}

/// A code as a QR code: digits at level Q, all else at level M.
#[uniffi::export]
pub fn qr_symbol(code: String) -> Result<CodeSymbol, WalletError> {
    Ok(qr::encode(&code, qr::SHOWN)?.into())
}

/// A numeric code as a bar code (Code 128).
#[uniffi::export]
pub fn barcode_symbol(code: String) -> Result<CodeSymbol, WalletError> {
    Ok(code128::encode(&code)?.into())
}
