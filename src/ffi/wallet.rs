//! The wallet object.

use std::sync::Arc;

use super::key_store::Foreign;
use super::records::{ForeignClock, ForeignObserver, ForeignResponder};
use super::runtime::{contact, handle, run};
use super::{
    Answer, CardChallenge, PaymentCard, PlatformClock, PlatformKeyStore, StatementEntry,
    SyncReport, TapResponder, WalletConfig, WalletError, WalletObserver, WalletStatus,
};
use crate::token::{TokenLife, TokenRef};
use crate::wallet;

/// The wallet of one folder. Make one per process and keep it.
///
/// A connection that breaks while it is written to raises SIGPIPE on Linux. Android, iOS and macOS, the JVM and Rust
/// programs see to that; a process of another kind ignores the signal, or is ended by it.
#[derive(uniffi::Object)]
pub struct Wallet {
    pub(super) inner: Arc<wallet::Wallet>,
}

#[uniffi::export]
impl Wallet {
    /// A wallet that is not opened yet. Nothing is read or written, so this may be called on any thread.
    #[uniffi::constructor]
    pub fn new(
        config: WalletConfig,
        key_store: Arc<dyn PlatformKeyStore>,
        clock: Arc<dyn PlatformClock>,
    ) -> Result<Arc<Self>, WalletError> {
        let config = wallet::Config {
            folder: config.data_dir.into(),
            app_version: config.app_version,
            production: config.production,
        };
        let inner = wallet::Wallet::new(
            config,
            Arc::new(Foreign(key_store)),
            Arc::new(ForeignClock(clock)),
            handle()?,
        )?;
        Ok(Arc::new(Self { inner }))
    }

    /// Opens the databases and arms the cards. Call it when the app or its NFC service starts; again does no harm.
    pub async fn start(&self) -> Result<WalletStatus, WalletError> {
        let wallet = Arc::clone(&self.inner);
        run(async move { Ok(wallet.start().await?.into()) }).await
    }

    /// Opens the databases without arming, for work that does not tap: no payment is reserved.
    pub async fn open(&self) -> Result<(), WalletError> {
        let wallet = Arc::clone(&self.inner);
        run(async move { wallet.open().await }).await
    }

    /// Makes this device known to a provider (`https://host:port`), whose CA (PEM) is the only one trusted.
    pub async fn enrol(&self, provider_url: String, ca_pem: String) -> Result<(), WalletError> {
        let wallet = Arc::clone(&self.inner);
        contact(&self.inner, async move {
            wallet.enrol(&provider_url, &ca_pem, None).await
        })
        .await
    }

    /// Asks a card's bank to send a code by SMS. `expiry` is `MM/YY`; `scheme` (`unionpay`, `visa`, `mastercard`) is for
    /// cards that carry several.
    #[uniffi::method(default(scheme = None))]
    pub async fn begin_add_card(
        &self,
        number: String,
        expiry: String,
        scheme: Option<String>,
    ) -> Result<CardChallenge, WalletError> {
        let wallet = Arc::clone(&self.inner);
        let number = zeroize::Zeroizing::new(number);
        contact(&self.inner, async move {
            let begun = wallet.begin_add_card(&number, &expiry, scheme);
            Ok(begun.await?.into())
        })
        .await
    }

    /// The cards that were begun and wait for their codes, the newest first.
    pub async fn open_challenges(&self) -> Result<Vec<CardChallenge>, WalletError> {
        let wallet = Arc::clone(&self.inner);
        run(async move {
            let open = wallet.open_challenges().await?;
            Ok(open.into_iter().map(Into::into).collect())
        })
        .await
    }

    /// Sends the code and takes the card in; it can pay when this returns.
    pub async fn finish_add_card(
        &self,
        challenge_id: String,
        code: String,
    ) -> Result<PaymentCard, WalletError> {
        let wallet = Arc::clone(&self.inner);
        contact(&self.inner, async move {
            let card = wallet.finish_add_card(&challenge_id, &code).await?;
            Ok((card, TokenLife::Active).into())
        })
        .await
    }

    /// The cards, the default one first.
    pub async fn cards(&self) -> Result<Vec<PaymentCard>, WalletError> {
        let wallet = Arc::clone(&self.inner);
        run(async move { Ok(wallet.cards().await?.into_iter().map(Into::into).collect()) }).await
    }

    /// How the wallet stands.
    pub async fn status(&self) -> Result<WalletStatus, WalletError> {
        let wallet = Arc::clone(&self.inner);
        run(async move { Ok(wallet.status().await?.into()) }).await
    }

    /// Answers one command APDU, at once and without waiting: call it on the thread that the reader's command came on.
    pub fn process_apdu(&self, apdu: Vec<u8>) -> Answer {
        self.inner.process_apdu(apdu).into()
    }

    /// Sets who sends the answers that come later.
    pub fn set_responder(&self, responder: Arc<dyn TapResponder>) {
        self.inner
            .set_responder(Arc::new(ForeignResponder(responder)));
    }

    /// Sets who is told of taps and news.
    pub fn set_observer(&self, observer: Arc<dyn WalletObserver>) {
        self.inner.set_observer(Arc::new(ForeignObserver(observer)));
    }

    /// Uses a finished verification for the next tap: one payment of the amount (two-tap), or up to the ceiling (one-tap),
    /// that it was for.
    pub async fn permit_tap(&self, verification_id: String) -> Result<(), WalletError> {
        let wallet = Arc::clone(&self.inner);
        run(async move { wallet.permit_tap(&verification_id).await }).await
    }

    /// Makes a card the default one: readers see it first.
    pub async fn set_default_card(&self, token_ref: String) -> Result<(), WalletError> {
        let wallet = Arc::clone(&self.inner);
        run(async move { wallet.set_default_card(TokenRef::new(token_ref)).await }).await
    }

    /// Lets one card alone pay until a tap is complete; without one, all cards again.
    pub async fn use_card_next(&self, token_ref: Option<String>) -> Result<(), WalletError> {
        let wallet = Arc::clone(&self.inner);
        run(async move { wallet.use_card_next(token_ref.map(TokenRef::new)).await }).await
    }

    /// Tells whether the phone's screen is locked; the provider may let only an unlocked phone pay.
    pub fn set_screen_locked(&self, locked: bool) {
        self.inner.set_screen_locked(locked);
    }

    /// The phone has left the reader's field. Readers lose a phone for a moment and try again: the tap counts as over once
    /// the provider's patience (half a second) is.
    pub fn deactivated(&self) {
        self.inner.deactivated();
    }

    /// Takes in what the issuer has and replenishes keys that run low.
    pub async fn sync(&self) -> Result<SyncReport, WalletError> {
        let wallet = Arc::clone(&self.inner);
        contact(&self.inner, async move { Ok(wallet.sync().await?.into()) }).await
    }

    /// The statement, newest first.
    pub async fn statement(&self) -> Result<Vec<StatementEntry>, WalletError> {
        let wallet = Arc::clone(&self.inner);
        run(async move {
            Ok(wallet
                .statement()
                .await?
                .into_iter()
                .map(Into::into)
                .collect())
        })
        .await
    }

    /// Ends the wallet's work and frees its folder.
    pub async fn shut_down(&self) -> Result<(), WalletError> {
        let wallet = Arc::clone(&self.inner);
        run(async move { wallet.close().await }).await
    }
}
