//! What Kotlin and Swift see: the only place that names uniffi.
//!
//! A thin layer over [`crate::wallet`]: records and one small error enum, foreign traits for the platform's key store
//! and clock, and one object. Asynchronous functions run on the core's own runtime, never on the caller's thread. Dropping their future
//! stops them, which cancelling does in Kotlin; Swift's bindings have no handler for it, so that a cancelled task's call goes on
//! to its end.

mod code_records;
mod codes;
mod error;
mod key_store;
mod lifecycle;
mod log;
mod maker;
mod person;
mod records;
mod runtime;
mod wallet;

pub use code_records::{
    CodeAcceptance, CodeEnd, CodeKind, CodePayment, CodePaymentState, CodeRefusal, CodeShown,
    CodeState, CodeSymbol, MerchantOffer, MerchantTip, RefusedClass,
};
pub use codes::{CodeView, barcode_symbol, qr_symbol};
pub use error::{Damage, Newer, WalletError};
pub use key_store::{AttestedKey, KeyStoreError, PlatformKeyStore, SecurityLevel};
pub use lifecycle::{LinkCode, LinkKind, Phone, RiskSignals};
pub use log::{LogLevel, LogSink, set_log_sink};
pub use maker::{MakerAsk, MakerPass};
pub use person::{
    Confirmation, PasswordReset, PersonProof, PromptOutcome, Purpose, VerificationRequest,
};
pub use records::{
    AccountType, Answer, CardChallenge, CardState, ClockReading, EntryState, PaymentCard,
    PlatformClock, StatementEntry, SyncReport, TapDecision, TapOutcome, TapRefusal, TapResponder,
    WalletConfig, WalletEvent, WalletObserver, WalletStatus,
};
pub use wallet::Wallet;
