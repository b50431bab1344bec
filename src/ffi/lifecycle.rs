//! The life of cards and phones: suspend, resume, delete, wipe, move, export, erase; and what the shell sees of the phone.

use std::fmt;
use std::sync::Arc;

use super::runtime::{contact, run};
use super::{Wallet, WalletError};
use crate::backend::protocol;
use crate::token::TokenRef;
use crate::{backend, risk};

/// What the shell sees of the phone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct RiskSignals {
    /// Somebody has root or a jailbreak.
    pub rooted: bool,
    /// The phone is an emulator.
    pub emulator: bool,
    /// Code of the app is hooked or patched.
    pub hooked: bool,
    /// A debugger is attached.
    pub debugger: bool,
}

/// A phone of the same person.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Phone {
    /// The device's identifier.
    pub device_id: String,
    /// When it was enrolled, milliseconds of Unix time.
    pub enrolled_at_ms: i64,
    /// Whether it is this phone.
    pub this: bool,
    /// Whether it was wiped, or will be at its next contact.
    pub wiped: bool,
}

/// What becomes of the phone that makes a link code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum LinkKind {
    /// It stays, beside the new one.
    SecondPhone,
    /// It is wiped when the new one takes over.
    Move,
}

/// A code with which another phone joins. Its text is its name: the code must not get into a log.
#[derive(Clone, uniffi::Record)]
#[uniffi::export(Display)]
pub struct LinkCode {
    /// To be entered on the new phone.
    pub code: String,
    /// Until when, RFC 3339.
    pub expires_at: String,
}

#[uniffi::export]
impl Wallet {
    /// As `enrol`, as the same person's as another phone, which has made the code.
    pub async fn join(
        &self,
        provider_url: String,
        ca_pem: String,
        link_code: String,
    ) -> Result<(), WalletError> {
        let wallet = Arc::clone(&self.inner);
        contact(&self.inner, async move {
            wallet.enrol(&provider_url, &ca_pem, Some(&link_code)).await
        })
        .await
    }

    /// Suspends a card at once, with or without a network.
    pub async fn suspend_card(&self, token_ref: String) -> Result<(), WalletError> {
        let wallet = Arc::clone(&self.inner);
        run(async move { wallet.suspend_card(&TokenRef::new(token_ref)).await }).await
    }

    /// Resumes a suspended card; the network must agree.
    pub async fn resume_card(&self, token_ref: String) -> Result<(), WalletError> {
        let wallet = Arc::clone(&self.inner);
        contact(&self.inner, async move {
            wallet.resume_card(&TokenRef::new(token_ref)).await
        })
        .await
    }

    /// Deletes a card for good, its keys at once, with or without a network.
    pub async fn delete_card(&self, token_ref: String) -> Result<(), WalletError> {
        let wallet = Arc::clone(&self.inner);
        run(async move { wallet.delete_card(&TokenRef::new(token_ref)).await }).await
    }

    /// The person's phones.
    pub async fn phones(&self) -> Result<Vec<Phone>, WalletError> {
        let wallet = Arc::clone(&self.inner);
        contact(&self.inner, async move {
            let phones = wallet.phones().await?;
            Ok(phones.into_iter().map(Into::into).collect())
        })
        .await
    }

    /// Wipes another phone of the same person (a lost one): the network refuses its cards at once, it wipes itself at its
    /// next contact.
    pub async fn wipe_phone(&self, device_id: String) -> Result<(), WalletError> {
        let wallet = Arc::clone(&self.inner);
        contact(
            &self.inner,
            async move { wallet.wipe_phone(&device_id).await },
        )
        .await
    }

    /// A code with which another phone joins, beside this one or in its place.
    pub async fn create_link_code(&self, kind: LinkKind) -> Result<LinkCode, WalletError> {
        let wallet = Arc::clone(&self.inner);
        let kind = match kind {
            LinkKind::SecondPhone => protocol::LinkKind::SecondPhone,
            LinkKind::Move => protocol::LinkKind::Move,
        };
        contact(&self.inner, async move {
            let made = wallet.create_link_code(kind).await?;
            Ok(LinkCode {
                code: made.code,
                expires_at: made.expires_at,
            })
        })
        .await
    }

    /// Wipes the wallet from this phone, keys first. The cards at the network are not touched: delete them before, or
    /// wipe this phone from another one.
    pub async fn wipe(&self) -> Result<(), WalletError> {
        let wallet = Arc::clone(&self.inner);
        run(async move { wallet.wipe().await }).await
    }

    /// Everything personal that phone and provider hold, a JSON document.
    pub async fn export_data(&self) -> Result<String, WalletError> {
        let wallet = Arc::clone(&self.inner);
        contact(&self.inner, async move { wallet.export_data().await }).await
    }

    /// Deletes everything personal at the provider, then wipes this phone.
    pub async fn erase(&self) -> Result<(), WalletError> {
        let wallet = Arc::clone(&self.inner);
        contact(&self.inner, async move { wallet.erase().await }).await
    }

    /// A push message of the provider has come: get in contact, and follow what it says (sync, suspension, wipe). Call it
    /// whatever the message holds.
    pub async fn on_push(&self) -> Result<(), WalletError> {
        let wallet = Arc::clone(&self.inner);
        contact(&self.inner, async move { wallet.sync().await.map(drop) }).await
    }

    /// Says what the shell sees of the phone, in place of what it said before. Call it at the start and whenever it changes.
    pub fn report_risk(&self, signals: RiskSignals) {
        self.inner.report_risk(risk::RiskSignals {
            rooted: signals.rooted,
            emulator: signals.emulator,
            hooked: signals.hooked,
            debugger: signals.debugger,
        });
    }
}

impl fmt::Display for LinkCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkCode")
    }
}

impl From<protocol::Phone> for Phone {
    fn from(phone: protocol::Phone) -> Self {
        Self {
            enrolled_at_ms: backend::parse_rfc3339_ms(&phone.enrolled_at).unwrap_or(0),
            device_id: phone.device_id,
            this: phone.this,
            wiped: phone.state == protocol::PhoneState::Wiped,
        }
    }
}
