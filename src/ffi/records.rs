//! The values that cross to Kotlin and Swift.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::CodePayment;
use crate::emv::profile::Decision;
use crate::{account, statement, token, wallet};

/// How a wallet is set up.
#[derive(Clone, Debug, uniffi::Record)]
pub struct WalletConfig {
    /// The wallet's folder; one wallet, one process. Keep it out of backups.
    pub data_dir: String,
    /// Version of the app, told at enrolment.
    pub app_version: String,
    /// Refuses a key store in software.
    pub production: bool,
}

/// What the phone's clocks show.
#[derive(Clone, Debug, uniffi::Record)]
pub struct ClockReading {
    /// Wall clock, milliseconds of Unix time.
    pub wall_ms: i64,
    /// Changes with each start of the phone.
    pub boot_id: String,
    /// Milliseconds since the start of the phone, sleep included.
    pub since_boot_ms: i64,
}

/// The phone's clocks.
#[uniffi::export(foreign)]
pub trait PlatformClock: Send + Sync {
    /// Reads them.
    fn now(&self) -> ClockReading;
}

/// Takes answers that were not ready at once.
#[uniffi::export(foreign)]
pub trait TapResponder: Send + Sync {
    /// Sends the answer to the reader (`sendResponseApdu`, `respond`).
    fn respond(&self, answer: Vec<u8>);
}

/// Is told of taps and news, on a background thread.
#[uniffi::export(foreign)]
pub trait WalletObserver: Send + Sync {
    /// Something happened.
    fn on_event(&self, event: WalletEvent);
}

/// How the wallet stands.
#[derive(Clone, Debug, uniffi::Record)]
pub struct WalletStatus {
    /// Whether the provider knows this device.
    pub enrolled: bool,
    /// The device's identifier at the provider.
    pub device_id: Option<String>,
    /// How many cards the wallet holds.
    pub cards: u32,
    /// How many taps can be made without a network.
    pub taps_left: u32,
    /// How many numeric payment codes can be shown without a network.
    pub codes_left: u32,
    /// Why no reader is answered, where none is.
    pub refusal: Option<TapRefusal>,
    /// Tries left for the PIN, where one is set.
    pub pin_tries_left: Option<u32>,
    /// Seconds until the PIN may be tried again.
    pub pin_wait_s: u32,
    /// Whether fingerprint or face is set up.
    pub biometric: bool,
    /// Whether a change of the enrolled biometrics took it away: set it up again.
    pub biometric_voided: bool,
}

/// A card that waits for the code which its bank has sent.
#[derive(Clone, Debug, uniffi::Record)]
pub struct CardChallenge {
    /// To be given with the code.
    pub id: String,
    /// The card's last four digits: `…0015`.
    pub masked_card: String,
    /// The issuing bank.
    pub bank: String,
    /// Until when the code is good, milliseconds of Unix time.
    pub expires_at_ms: i64,
    /// Tries that are left.
    pub tries_left: u32,
}

/// What kind of account stands behind a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum AccountType {
    /// A card of a bank.
    BankCard,
    /// A credit account.
    Credit,
    /// A prepaid card.
    Prepaid,
}

/// A card in the wallet.
#[derive(Clone, Debug, uniffi::Record)]
pub struct PaymentCard {
    /// The network's reference of the token.
    pub token_ref: String,
    /// The token number, masked.
    pub masked_token: String,
    /// The last four digits of the card behind it.
    pub masked_card: String,
    /// The issuing bank.
    pub bank: String,
    /// What kind of account pays.
    pub account_type: AccountType,
    /// The token's last day, `YYYY-MM-DD`.
    pub expiry: String,
    /// Whether it pays.
    pub state: CardState,
    /// The payment scheme: `unionpay`, `visa`, `mastercard`.
    pub scheme: String,
    /// Whose wallet it pays from, where that is not this one: the name of the phone's maker.
    pub home: Option<String>,
}

/// Whether a card pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum CardState {
    /// It pays.
    Active,
    /// It is held back and can be resumed.
    Suspended,
    /// It is gone for good.
    Deleted,
}

/// Why no reader is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum TapRefusal {
    /// The person has locked the wallet: unlock it.
    Locked,
    /// The app is older than the provider admits: update it.
    Outdated,
    /// The phone looks unsafe by the provider's rules.
    Risk,
    /// The screen is locked, and the provider lets no locked phone pay.
    ScreenLocked,
}

/// The answer to an APDU.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Answer {
    /// These bytes, at once.
    Now {
        /// Data and status word.
        bytes: Vec<u8>,
    },
    /// They come through the [`TapResponder`].
    Later,
}

/// How a tap ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum TapOutcome {
    /// The reader read everything.
    Complete,
    /// The phone left the field before that.
    Incomplete,
}

/// What the card decided at a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum TapDecision {
    /// The issuer is asked.
    Online,
    /// No; nothing was paid.
    Declined,
}

/// What an observer is told.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum WalletEvent {
    /// A tap is over and in the statement.
    Tap {
        /// Its counter.
        atc: u32,
        /// How it ended.
        outcome: TapOutcome,
        /// Minor units.
        amount_minor: i64,
        /// ISO 4217.
        currency: String,
        /// Where, as the reader told it.
        merchant: Option<String>,
        /// The terminal's country, ISO 3166 numeric, as the reader told it.
        country: Option<String>,
        /// The card that paid.
        token_ref: String,
        /// When the cryptogram left, milliseconds of Unix time.
        at_ms: i64,
        /// Whether the person was verified for it on the phone.
        verified: bool,
        /// What the card decided.
        decision: TapDecision,
    },
    /// A reader asked for a payment that waits for the person: verify them for this amount, permit the tap, and have the
    /// phone held to the reader again.
    PersonWanted {
        /// The card that would pay.
        token_ref: String,
        /// Minor units.
        amount_minor: i64,
        /// ISO 4217.
        currency: String,
        /// Where, as the reader told it.
        merchant: Option<String>,
    },
    /// A reader asked for more than the issuer lets this card pay at once.
    AboveLimit {
        /// The card.
        token_ref: String,
        /// Minor units.
        amount_minor: i64,
        /// ISO 4217.
        currency: String,
        /// Where, as the reader told it.
        merchant: Option<String>,
    },
    /// The issuer's entries were taken in.
    Synced {
        /// How many were new.
        new_entries: u32,
    },
    /// New keys came.
    Replenished {
        /// How many.
        keys: u32,
    },
    /// Few payment codes are left to be shown without a network, and none could be fetched: go online soon.
    CodesLow {
        /// How many.
        left: u32,
    },
    /// A shop has scanned a payment code, or what became of it is known.
    CodeUsed {
        /// The payment.
        payment: CodePayment,
    },
    /// The wallet was wiped from elsewhere.
    Wiped,
}

/// What a sync brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Record)]
pub struct SyncReport {
    /// Entries of the issuer that were not known.
    pub new_entries: u32,
    /// New limited-use keys.
    pub keys_received: u32,
}

/// How far a payment has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum EntryState {
    /// A cryptogram left; the reader did not read everything.
    Incomplete,
    /// The reader has all it needs; the issuer has not been heard.
    Pending,
    /// The issuer's record matches.
    Matched,
    /// The issuer declined.
    Declined,
    /// Nothing was heard from the issuer in time.
    Expired,
}

/// One line of the statement.
#[derive(Clone, Debug, uniffi::Record)]
pub struct StatementEntry {
    /// Stable on this phone.
    pub id: String,
    /// Milliseconds of Unix time.
    pub at_ms: i64,
    /// How far the payment has come.
    pub state: EntryState,
    /// Minor units.
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// Where.
    pub merchant: Option<String>,
    /// Bank and last four digits of the card.
    pub account: String,
    /// The counter, for what was tapped.
    pub atc: Option<u32>,
}

/// The foreign clock as the wallet sees it.
pub(super) struct ForeignClock(pub(super) Arc<dyn PlatformClock>);

impl wallet::Clock for ForeignClock {
    fn now(&self) -> wallet::ClockReading {
        // A clock that throws must not end what asked for the time.
        let reading = catch_unwind(AssertUnwindSafe(|| self.0.now()));
        let ClockReading {
            wall_ms,
            boot_id,
            since_boot_ms,
        } = reading.unwrap_or(ClockReading {
            wall_ms: 0,
            boot_id: String::new(),
            since_boot_ms: 0,
        });
        wallet::ClockReading {
            wall_ms,
            boot_id,
            since_boot_ms,
        }
    }
}

/// The foreign responder as the tap sees it.
pub(super) struct ForeignResponder(pub(super) Arc<dyn TapResponder>);

impl wallet::Responder for ForeignResponder {
    fn respond(&self, answer: Vec<u8>) {
        self.0.respond(answer);
    }
}

/// The foreign observer as the wallet sees it.
pub(super) struct ForeignObserver(pub(super) Arc<dyn WalletObserver>);

impl wallet::Observer for ForeignObserver {
    fn on_event(&self, event: wallet::WalletEvent) {
        self.0.on_event(match event {
            wallet::WalletEvent::Tap {
                atc,
                outcome,
                payment,
            } => WalletEvent::Tap {
                atc: atc.into(),
                outcome: match outcome {
                    wallet::TapOutcome::Complete => TapOutcome::Complete,
                    wallet::TapOutcome::Incomplete => TapOutcome::Incomplete,
                },
                amount_minor: payment.asked.money.minor,
                currency: payment.asked.money.currency.code().into(),
                merchant: payment.asked.merchant,
                country: payment.asked.country.map(hex::encode),
                token_ref: payment.token.as_str().into(),
                at_ms: payment.at_ms,
                verified: payment.decision.is_verified(),
                decision: match payment.decision {
                    Decision::Online { .. } => TapDecision::Online,
                    Decision::Declined => TapDecision::Declined,
                },
            },
            wallet::WalletEvent::PersonWanted { token, asked } => WalletEvent::PersonWanted {
                token_ref: token.as_str().into(),
                amount_minor: asked.money.minor,
                currency: asked.money.currency.code().into(),
                merchant: asked.merchant,
            },
            wallet::WalletEvent::AboveLimit { token, asked } => WalletEvent::AboveLimit {
                token_ref: token.as_str().into(),
                amount_minor: asked.money.minor,
                currency: asked.money.currency.code().into(),
                merchant: asked.merchant,
            },
            wallet::WalletEvent::Synced { new_entries } => WalletEvent::Synced { new_entries },
            wallet::WalletEvent::Replenished { keys } => WalletEvent::Replenished { keys },
            wallet::WalletEvent::CodesLow { left } => WalletEvent::CodesLow { left },
            wallet::WalletEvent::CodeUsed { payment } => WalletEvent::CodeUsed {
                payment: payment.into(),
            },
            wallet::WalletEvent::Wiped => WalletEvent::Wiped,
        });
    }
}

impl From<wallet::Status> for WalletStatus {
    fn from(status: wallet::Status) -> Self {
        Self {
            enrolled: status.device_id.is_some(),
            device_id: status.device_id,
            cards: status.cards,
            taps_left: status.taps_left,
            codes_left: status.codes_left,
            refusal: status.refusal.map(|refusal| match refusal {
                wallet::TapRefusal::Locked => TapRefusal::Locked,
                wallet::TapRefusal::Outdated => TapRefusal::Outdated,
                wallet::TapRefusal::Risk => TapRefusal::Risk,
                wallet::TapRefusal::ScreenLocked => TapRefusal::ScreenLocked,
            }),
            pin_tries_left: status.person.pin_tries_left,
            pin_wait_s: status.person.pin_wait_s,
            biometric: status.person.biometric,
            biometric_voided: status.person.biometric_voided,
        }
    }
}

impl From<wallet::CardChallenge> for CardChallenge {
    fn from(challenge: wallet::CardChallenge) -> Self {
        let wallet::CardChallenge {
            id,
            masked_card,
            bank,
            expires_at_ms,
            tries_left,
        } = challenge;
        Self {
            id,
            masked_card,
            bank,
            expires_at_ms,
            tries_left,
        }
    }
}

impl From<(token::PaymentToken, token::TokenLife)> for PaymentCard {
    fn from((token, state): (token::PaymentToken, token::TokenLife)) -> Self {
        Self {
            token_ref: token.reference.as_str().into(),
            masked_token: token.masked_number,
            masked_card: token.masked_card,
            bank: token.bank,
            account_type: match token.account_type {
                account::AccountType::BankCard => AccountType::BankCard,
                account::AccountType::Credit => AccountType::Credit,
                account::AccountType::Prepaid => AccountType::Prepaid,
            },
            expiry: token.expiry,
            scheme: token.scheme,
            home: token.home,
            state: match state {
                token::TokenLife::Active => CardState::Active,
                token::TokenLife::Suspended => CardState::Suspended,
                token::TokenLife::Deleted => CardState::Deleted,
            },
        }
    }
}

impl From<wallet::Answer> for Answer {
    fn from(answer: wallet::Answer) -> Self {
        match answer {
            wallet::Answer::Now(bytes) => Self::Now { bytes },
            wallet::Answer::Later => Self::Later,
        }
    }
}

impl From<wallet::SyncReport> for SyncReport {
    fn from(report: wallet::SyncReport) -> Self {
        Self {
            new_entries: report.new_entries,
            keys_received: report.keys_received,
        }
    }
}

impl From<wallet::StatementLine> for StatementEntry {
    fn from(line: wallet::StatementLine) -> Self {
        Self {
            id: line.id,
            at_ms: line.at_ms,
            state: match line.state {
                statement::EntryState::Incomplete => EntryState::Incomplete,
                statement::EntryState::Pending => EntryState::Pending,
                statement::EntryState::Matched => EntryState::Matched,
                statement::EntryState::Declined => EntryState::Declined,
                statement::EntryState::Expired => EntryState::Expired,
            },
            amount_minor: line.money.minor,
            currency: line.money.currency.code().into(),
            merchant: line.merchant,
            account: line.account,
            atc: line.atc.map(u32::from),
        }
    }
}
