//! The values of payment codes that cross to Kotlin and Swift, and how they come from the wallet's own and go back.

use std::fmt;

use super::WalletError;
use super::person::money;
use crate::code::mpm;
use crate::code::symbol::{Matrix, svg};
use crate::token::TokenRef;
use crate::wallet;

/// What kind of code a shop reads off the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum CodeKind {
    /// Digits, as a QR code or a bar code: what most tills take.
    Numeric,
    /// EMV's consumer-presented code, a QR code with a cryptogram of the card.
    ConsumerPresented,
}

/// What a screen shows of a code. Its text is its name: the code must not get into a log.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Display)]
pub struct CodeShown {
    /// What kind of code.
    pub kind: CodeKind,
    /// The card that pays, by the network's reference.
    pub token_ref: String,
    /// What the symbol holds: digits, or base64 of a consumer-presented code. Empty unless the state is `Showing`.
    pub code: String,
    /// What the person reads: masked until revealed. Empty for a consumer-presented code.
    pub digits: String,
    /// Whether `digits` are in clear.
    pub revealed: bool,
    /// Seconds until the code changes by itself, 1 to 30; 0 unless the state is `Showing`.
    pub seconds_left: u32,
    /// How many showings are left without a network: those of all cards for numeric codes, those of this card's keys for
    /// consumer-presented ones.
    pub offline_left: u32,
    /// Whether these are fewer than the provider wants a phone to hold: go online soon.
    pub runs_low: bool,
    /// How the showing stands.
    pub state: CodeState,
}

/// How a showing stands.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum CodeState {
    /// There is a code to be scanned.
    Showing,
    /// A consumer-presented code has changed as often as one showing may: it goes on by `renew`, when the person touches it.
    Paused,
    /// A shop has scanned it.
    Used {
        /// The payment, as the provider tells it.
        payment: CodePayment,
    },
    /// It is shown no more; `renew` shows a fresh one.
    Ended {
        /// Why.
        why: CodeEnd,
    },
    /// No code can be shown until the reason is gone.
    Refused {
        /// Why.
        reason: CodeRefusal,
        /// What to do, a sentence for the person.
        detail: String,
    },
}

/// Why a code is shown no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum CodeEnd {
    /// It was closed.
    Closed,
    /// Its digits were to be seen: a fresh code takes its place.
    Revealed,
    /// The system saw a screenshot.
    Photographed,
    /// It was not used in its time.
    Expired,
    /// The provider ended it.
    Void,
}

/// Why no code can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum CodeRefusal {
    /// Every code on this phone was shown: go online once.
    NoneLeft,
    /// None was ever fetched: go online once.
    NeverFetched,
    /// The phone's clock cannot be relied on: go online once.
    Clock,
    /// The card has no key or counter left for a consumer-presented code: go online, or choose another card.
    NoKeys,
    /// The phone looks unsafe: no code is shown on it.
    Unsafe,
    /// The card is not offered as a consumer-presented code: show a numeric one, or choose another card.
    NotOffered,
}

/// A payment by code, as the provider tells it.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct CodePayment {
    /// The provider's identifier of it; empty for a consumer-presented code, which the network pays.
    pub payment_id: String,
    /// How far it has come.
    pub state: CodePaymentState,
    /// Whether it waits for the person to confirm it …
    pub wants_password: bool,
    /// … and until when, milliseconds of Unix time.
    pub confirm_until_ms: i64,
    /// The card that pays.
    pub token_ref: String,
    /// Minor units.
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// To whom, as the acquirer or the provider names them.
    pub merchant: String,
    /// Why not, stable, `snake_case`.
    pub reason: Option<String>,
    /// The bank's approval code.
    pub authorisation: Option<String>,
}

/// How far a payment by code has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum CodePaymentState {
    /// It is being decided, or waits for the person.
    Pending,
    /// It is paid.
    Approved,
    /// It was declined; nothing was paid.
    Declined,
    /// The shop has taken it back; nothing is paid.
    Revoked,
}

/// What a shop's code says, and whose it is by the provider's books.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct MerchantOffer {
    /// The code that was read.
    pub code: String,
    /// Makes paying it again after a lost answer the same payment.
    pub payment_key: String,
    /// Whom the money goes to, as the provider knows them: the name to show.
    pub payee: String,
    /// The name that stands in the code: anybody may have written it there.
    pub claimed_name: String,
    /// The city.
    pub city: String,
    /// The merchant's category, ISO 18245.
    pub category: String,
    /// Minor units; nothing where the person is to enter the amount.
    pub amount_minor: Option<i64>,
    /// ISO 4217.
    pub currency: String,
    /// What is to be paid on top.
    pub tip: Option<MerchantTip>,
    /// Whether the code is for one payment (dynamic).
    pub once: bool,
    /// The bill's number.
    pub bill: Option<String>,
}

/// What is to be paid on top of an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum MerchantTip {
    /// The person is asked.
    Asked,
    /// A fixed fee.
    Fixed {
        /// Minor units of the offer's currency.
        amount_minor: i64,
    },
    /// A share of the amount.
    Share {
        /// Hundredths of a percent.
        hundredths_of_percent: u32,
    },
}

/// Where codes are taken, and why not elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct CodeAcceptance {
    /// Merchant classes that are refused; every other is accepted.
    pub refused_classes: Vec<RefusedClass>,
    /// Where codes are taken, ISO 3166 numeric in four digits.
    pub countries: Vec<String>,
    /// The reason in every other country, stable, `snake_case`.
    pub elsewhere: String,
    /// Above this amount a payment wants the person, minor units.
    pub password_above_minor: i64,
    /// Its currency, ISO 4217.
    pub currency: String,
}

/// Merchant categories where codes are refused.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct RefusedClass {
    /// The first category, ISO 18245.
    pub from: String,
    /// The last one.
    pub to: String,
    /// What they are called.
    pub name: String,
    /// The reason, stable, `snake_case`.
    pub reason: String,
}

/// The modules of a symbol, quiet zone included: draw the light ones too, or no reader finds it on a dark page. Its text is
/// its name: it shows a code.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Display)]
pub struct CodeSymbol {
    /// Modules from left to right.
    pub width: u32,
    /// Rows of modules from top to bottom; a bar code has one.
    pub rows: u32,
    /// How many modules high each row is to be drawn: 1 but for bar codes.
    pub row_height: u32,
    /// Row after row, from the upper left: 1 for a dark module, 0 for a light one.
    pub modules: Vec<u8>,
    /// The same as a picture, one unit to a module.
    pub svg: String,
}

impl fmt::Display for CodeShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeShown")
    }
}

impl fmt::Display for CodeSymbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeSymbol")
    }
}

impl CodeRefusal {
    /// Stable, `snake_case`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NoneLeft => "none_left",
            Self::NeverFetched => "never_fetched",
            Self::Clock => "clock",
            Self::NoKeys => "no_keys",
            Self::Unsafe => "unsafe",
            Self::NotOffered => "not_offered",
        }
    }
}

impl From<CodeKind> for wallet::CodeKind {
    fn from(kind: CodeKind) -> Self {
        match kind {
            CodeKind::Numeric => Self::Numeric,
            CodeKind::ConsumerPresented => Self::ConsumerPresented,
        }
    }
}

impl From<wallet::CodeShown> for CodeShown {
    fn from(shown: wallet::CodeShown) -> Self {
        Self {
            kind: match shown.kind {
                wallet::CodeKind::Numeric => CodeKind::Numeric,
                wallet::CodeKind::ConsumerPresented => CodeKind::ConsumerPresented,
            },
            token_ref: shown.account.as_str().into(),
            code: shown.code,
            digits: shown.digits,
            revealed: shown.revealed,
            seconds_left: shown.seconds_left,
            offline_left: shown.offline_left,
            runs_low: shown.runs_low,
            state: shown.state.into(),
        }
    }
}

impl From<wallet::CodeState> for CodeState {
    fn from(state: wallet::CodeState) -> Self {
        match state {
            wallet::CodeState::Showing => Self::Showing,
            wallet::CodeState::Paused => Self::Paused,
            wallet::CodeState::Used(payment) => Self::Used {
                payment: payment.into(),
            },
            wallet::CodeState::Ended(why) => Self::Ended {
                why: match why {
                    wallet::CodeEnd::Closed => CodeEnd::Closed,
                    wallet::CodeEnd::Revealed => CodeEnd::Revealed,
                    wallet::CodeEnd::Photographed => CodeEnd::Photographed,
                    wallet::CodeEnd::Expired => CodeEnd::Expired,
                    wallet::CodeEnd::Void => CodeEnd::Void,
                },
            },
            wallet::CodeState::Refused(refusal) => Self::Refused {
                detail: refusal.to_string(),
                reason: refusal.into(),
            },
        }
    }
}

impl From<wallet::CodeRefusal> for CodeRefusal {
    fn from(refusal: wallet::CodeRefusal) -> Self {
        match refusal {
            wallet::CodeRefusal::NoneLeft => Self::NoneLeft,
            wallet::CodeRefusal::NeverFetched => Self::NeverFetched,
            wallet::CodeRefusal::Clock(_) => Self::Clock,
            wallet::CodeRefusal::NoKeys => Self::NoKeys,
            wallet::CodeRefusal::Unsafe => Self::Unsafe,
            wallet::CodeRefusal::NotOffered => Self::NotOffered,
        }
    }
}

impl From<wallet::CodePayment> for CodePayment {
    fn from(payment: wallet::CodePayment) -> Self {
        Self {
            payment_id: payment.payment_id,
            state: match payment.state {
                wallet::CodePaymentState::Pending => CodePaymentState::Pending,
                wallet::CodePaymentState::Approved => CodePaymentState::Approved,
                wallet::CodePaymentState::Declined => CodePaymentState::Declined,
                wallet::CodePaymentState::Revoked => CodePaymentState::Revoked,
            },
            wants_password: payment.wants_password,
            confirm_until_ms: payment.confirm_until_ms,
            token_ref: payment.account.as_str().into(),
            amount_minor: payment.money.minor,
            currency: payment.money.currency.code().into(),
            merchant: payment.merchant,
            reason: payment.reason,
            authorisation: payment.authorisation,
        }
    }
}

impl TryFrom<CodePayment> for wallet::CodePayment {
    type Error = WalletError;

    fn try_from(payment: CodePayment) -> Result<Self, WalletError> {
        Ok(Self {
            payment_id: payment.payment_id,
            state: match payment.state {
                CodePaymentState::Pending => wallet::CodePaymentState::Pending,
                CodePaymentState::Approved => wallet::CodePaymentState::Approved,
                CodePaymentState::Declined => wallet::CodePaymentState::Declined,
                CodePaymentState::Revoked => wallet::CodePaymentState::Revoked,
            },
            wants_password: payment.wants_password,
            confirm_until_ms: payment.confirm_until_ms,
            account: TokenRef::new(payment.token_ref),
            money: money(payment.amount_minor, &payment.currency)?,
            merchant: payment.merchant,
            reason: payment.reason,
            authorisation: payment.authorisation,
        })
    }
}

impl From<wallet::MerchantOffer> for MerchantOffer {
    fn from(offer: wallet::MerchantOffer) -> Self {
        Self {
            code: offer.code,
            payment_key: offer.payment_key,
            payee: offer.payee,
            claimed_name: offer.claimed_name,
            city: offer.city,
            category: offer.category,
            amount_minor: offer.money.map(|money| money.minor),
            currency: offer.currency.code().into(),
            tip: offer.tip.map(|tip| match tip {
                mpm::Tip::Asked => MerchantTip::Asked,
                mpm::Tip::Fixed(fee) => MerchantTip::Fixed {
                    amount_minor: fee.minor,
                },
                mpm::Tip::HundredthsOfPercent(hundredths_of_percent) => MerchantTip::Share {
                    hundredths_of_percent,
                },
            }),
            once: offer.once,
            bill: offer.bill,
        }
    }
}

impl TryFrom<MerchantOffer> for wallet::MerchantOffer {
    type Error = WalletError;

    fn try_from(offer: MerchantOffer) -> Result<Self, WalletError> {
        let of = |amount_minor| money(amount_minor, &offer.currency);
        Ok(Self {
            money: offer.amount_minor.map(of).transpose()?,
            currency: of(0)?.currency,
            tip: match offer.tip {
                None => None,
                Some(MerchantTip::Asked) => Some(mpm::Tip::Asked),
                Some(MerchantTip::Fixed { amount_minor }) => {
                    Some(mpm::Tip::Fixed(of(amount_minor)?))
                }
                Some(MerchantTip::Share {
                    hundredths_of_percent,
                }) => Some(mpm::Tip::HundredthsOfPercent(hundredths_of_percent)),
            },
            code: offer.code,
            payment_key: offer.payment_key,
            payee: offer.payee,
            claimed_name: offer.claimed_name,
            city: offer.city,
            category: offer.category,
            once: offer.once,
            bill: offer.bill,
        })
    }
}

impl From<wallet::CodeAcceptance> for CodeAcceptance {
    fn from(acceptance: wallet::CodeAcceptance) -> Self {
        let classes = acceptance.refused_classes.into_iter();
        Self {
            refused_classes: classes
                .map(|class| RefusedClass {
                    from: class.from,
                    to: class.to,
                    name: class.name,
                    reason: class.reason,
                })
                .collect(),
            countries: acceptance.countries,
            elsewhere: acceptance.elsewhere,
            password_above_minor: acceptance.password_above.minor,
            currency: acceptance.password_above.currency.code().into(),
        }
    }
}

impl From<Matrix> for CodeSymbol {
    fn from(matrix: Matrix) -> Self {
        // The largest symbol is a few hundred modules wide.
        let count = |modules: usize| u32::try_from(modules).unwrap_or(u32::MAX);
        Self {
            width: count(matrix.width()),
            rows: count(matrix.rows()),
            row_height: count(matrix.row_height()),
            modules: matrix.modules().into_iter().map(u8::from).collect(),
            svg: svg::draw(&matrix),
        }
    }
}
