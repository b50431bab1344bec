//! One line of the statement.

use serde::{Deserialize, Serialize};

use super::{IssuerRecord, JournalEvent, Payment, Verdict};
use crate::account::{Currency, Money};

/// How far a payment has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryState {
    /// A cryptogram left; the reader did not read everything.
    Incomplete,
    /// The reader has all it needs; the issuer has not been heard.
    Pending,
    /// The issuer's record matches.
    Matched,
    /// The issuer declined.
    Declined,
    /// Nothing was heard from the issuer in the time it is given.
    Expired,
}

/// How far the clocks of phone and issuer may lie apart.
const CLOCK_SKEW_MS: i64 = 300_000;

/// One payment in the statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Which payment.
    pub payment: Payment,
    /// When: as the phone saw it, or the issuer where the phone did not.
    pub at_ms: i64,
    /// How far it has come; [`Entry::state_at`] adds the passing of time.
    pub state: EntryState,
    /// Amount and currency, the issuer's once it is known.
    #[serde(flatten)]
    pub money: Money,
    /// The merchant, the issuer's name for it once it is known.
    pub merchant: Option<String>,
    /// Whether this phone's journal knows the payment.
    pub on_phone: bool,
    /// Whether the phone only showed a code for it: then nobody may ever have paid, and the amount is the issuer's.
    #[serde(default)]
    pub presented: bool,
    /// The authorisation code of an approved payment.
    pub authorisation: Option<String>,
    /// The stable code of the reason for a decline.
    pub reason: Option<String>,
}

impl Entry {
    /// Takes in what happened on this phone at `at_ms`. Nothing comes of an event about a payment that never began.
    pub fn with_event(known: Option<Self>, at_ms: i64, event: &JournalEvent) -> Option<Self> {
        match (known, event) {
            // Nothing was asked of the issuer, and nothing can be.
            (known, JournalEvent::Cryptogram { declined: true, .. }) => known,
            // Heard of before it happened: whoever was declined under this counter was not this phone.
            (Some(entry), event @ JournalEvent::Cryptogram { .. })
                if !entry.on_phone
                    && entry.state == EntryState::Declined
                    && entry.at_ms.saturating_add(CLOCK_SKEW_MS) < at_ms =>
            {
                Self::with_event(None, at_ms, event)
            }
            (Some(entry), JournalEvent::Cryptogram { money, .. }) => Some(Self {
                on_phone: true,
                at_ms,
                money: match entry.state {
                    EntryState::Declined => *money,
                    _ => entry.money,
                },
                ..entry
            }),
            (
                None,
                JournalEvent::Cryptogram {
                    payment,
                    money,
                    merchant,
                    ..
                },
            ) => Some(Self {
                payment: payment.clone(),
                at_ms,
                state: EntryState::Incomplete,
                money: *money,
                merchant: merchant.clone(),
                on_phone: true,
                presented: false,
                authorisation: None,
                reason: None,
            }),
            (Some(entry), JournalEvent::Finished { .. }) => Some(Self {
                state: match entry.state {
                    EntryState::Incomplete => EntryState::Pending,
                    state => state,
                },
                ..entry
            }),
            (None, JournalEvent::Finished { .. }) => None,
            (Some(entry), JournalEvent::Presented { .. }) => Some(Self {
                on_phone: true,
                presented: true,
                ..entry
            }),
            (None, JournalEvent::Presented { payment, .. }) => Some(Self {
                payment: payment.clone(),
                at_ms,
                state: EntryState::Incomplete,
                money: Money {
                    minor: 0,
                    currency: Currency::CNY,
                },
                merchant: None,
                on_phone: true,
                presented: true,
                authorisation: None,
                reason: None,
            }),
        }
    }

    /// Takes in the issuer's record.
    ///
    /// An approval settles the entry whatever was heard before. A decline settles it once: somebody presenting a used
    /// cryptogram again must not change it.
    pub fn with_record(known: Option<Self>, record: &IssuerRecord) -> Self {
        if let (Some(entry), Verdict::Declined { .. }) = (&known, &record.verdict)
            && matches!(entry.state, EntryState::Matched | EntryState::Declined)
            // Nobody but the provider speaks of a payment by code: what was taken back, was.
            && entry.payment.atc().is_some()
        {
            return entry.clone();
        }
        let (state, authorisation, reason) = match record.verdict.clone() {
            Verdict::Approved { authorisation } => (EntryState::Matched, authorisation, None),
            Verdict::Declined { reason } => (EntryState::Declined, None, reason),
        };
        // A refused message may carry an amount that the phone never agreed to, so a decline keeps what the phone saw.
        let seen = known.as_ref().filter(|entry| entry.on_phone);
        let kept = seen.filter(|seen| state == EntryState::Declined && !seen.presented);
        Self {
            payment: record.payment.clone(),
            at_ms: seen.map_or(record.at_ms, |entry| entry.at_ms),
            state,
            money: kept.map_or(record.money, |entry| entry.money),
            merchant: Some(record.merchant.clone()),
            on_phone: seen.is_some(),
            presented: seen.is_some_and(|entry| entry.presented),
            authorisation,
            reason,
        }
    }

    /// The state at `now_ms`, when the issuer is given `patience_ms` to be heard.
    pub fn state_at(&self, now_ms: i64, patience_ms: i64) -> EntryState {
        let open = matches!(self.state, EntryState::Incomplete | EntryState::Pending);
        match open && now_ms.saturating_sub(self.at_ms) > patience_ms {
            true => EntryState::Expired,
            false => self.state,
        }
    }

    /// Whether a person should see it: a decline of a payment that this phone does not know is somebody else's attempt, and
    /// a code that nobody has taken is no payment. A payment by code was asked for by whoever showed it.
    pub fn is_shown(&self) -> bool {
        let by_code = self.payment.atc().is_none();
        let taken = self.state != EntryState::Incomplete;
        match self.presented {
            true => taken,
            false => self.on_phone || by_code || self.state != EntryState::Declined,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::TokenRef;

    fn payment() -> Payment {
        Payment::by_card(TokenRef::new("tok_1"), 7)
    }

    fn money(minor: i64) -> Money {
        Money {
            minor,
            currency: Currency::CNY,
        }
    }

    fn cryptogram() -> JournalEvent {
        JournalEvent::Cryptogram {
            payment: payment(),
            key_index: "6570201".to_owned().try_into().unwrap(),
            un: "00112233".into(),
            money: money(1250),
            merchant: None,
            country: None,
            abroad: false,
            verified: false,
            declined: false,
        }
    }

    fn record(verdict: Verdict, minor: i64) -> IssuerRecord {
        IssuerRecord {
            payment: payment(),
            at_ms: 500,
            money: money(minor),
            merchant: "Mapo Tofu House".into(),
            verdict,
        }
    }

    fn approved() -> IssuerRecord {
        let authorisation = Some("123456".into());
        record(Verdict::Approved { authorisation }, 1250)
    }

    fn declined() -> IssuerRecord {
        let reason = Some("cryptogram_invalid".into());
        record(Verdict::Declined { reason }, 9900)
    }

    #[test]
    fn incomplete_pending_matched() {
        let entry = Entry::with_event(None, 100, &cryptogram()).unwrap();
        assert_eq!(entry.state, EntryState::Incomplete);
        let entry = Entry::with_event(
            Some(entry),
            200,
            &JournalEvent::Finished { payment: payment() },
        )
        .unwrap();
        assert_eq!(entry.state, EntryState::Pending);
        let entry = Entry::with_record(Some(entry), &approved());
        assert_eq!((entry.state, entry.at_ms), (EntryState::Matched, 100));
        assert_eq!(entry.merchant.as_deref(), Some("Mapo Tofu House"));
    }

    #[test]
    fn the_order_of_news_does_not_matter() {
        let first = Entry::with_record(Entry::with_event(None, 100, &cryptogram()), &approved());
        let then = Entry::with_event(
            Some(Entry::with_record(None, &approved())),
            100,
            &cryptogram(),
        );
        assert_eq!(Some(first), then);
        let finished = JournalEvent::Finished { payment: payment() };
        assert_eq!(Entry::with_event(None, 100, &finished), None);
    }

    #[test]
    fn a_refused_replay_never_changes_an_approved_entry() {
        let entry = Entry::with_record(Entry::with_event(None, 100, &cryptogram()), &approved());
        assert_eq!(Entry::with_record(Some(entry.clone()), &declined()), entry);
    }

    #[test]
    fn a_decline_is_taken_once_and_in_any_order() {
        let first = Entry::with_record(Entry::with_event(None, 100, &cryptogram()), &declined());
        let then = Entry::with_event(
            Some(Entry::with_record(None, &declined())),
            100,
            &cryptogram(),
        );
        assert_eq!(Some(&first), then.as_ref());
        let other = IssuerRecord {
            merchant: "Somebody Else".into(),
            ..declined()
        };
        assert_eq!(Entry::with_record(Some(first.clone()), &other), first);
    }

    #[test]
    fn a_decline_heard_long_before_the_tap_was_somebody_elses() {
        let heard = Entry::with_record(None, &declined());
        let tapped = Entry::with_event(Some(heard), 400_000, &cryptogram());
        assert_eq!(tapped, Entry::with_event(None, 400_000, &cryptogram()));
    }

    #[test]
    fn an_approval_after_a_false_decline_counts() {
        let entry = Entry::with_record(Entry::with_event(None, 100, &cryptogram()), &declined());
        assert_eq!(
            (entry.state, entry.money),
            (EntryState::Declined, money(1250))
        );
        let entry = Entry::with_record(Some(entry), &approved());
        assert_eq!((entry.state, entry.reason), (EntryState::Matched, None));
    }

    #[test]
    fn a_strangers_attempt_is_not_shown() {
        assert!(!Entry::with_record(None, &declined()).is_shown());
        assert!(Entry::with_record(None, &approved()).is_shown());
    }

    #[test]
    fn a_code_that_nobody_took_is_no_payment() {
        let presented = JournalEvent::Presented {
            payment: payment(),
            key_index: "6570201".to_owned().try_into().unwrap(),
            un: "03913490".into(),
        };
        let entry = Entry::with_event(None, 100, &presented).unwrap();
        assert!(!entry.is_shown());
        let paid = Entry::with_record(Some(entry.clone()), &approved());
        assert!(paid.is_shown() && paid.on_phone);
        assert_eq!((paid.state, paid.money), (EntryState::Matched, money(1250)));
        // The amount of a decline is the shop's: the phone agreed to none.
        let refused = Entry::with_record(Some(entry), &declined());
        assert!(refused.is_shown());
        assert_eq!(refused.money, money(9900));
        let heard_first =
            Entry::with_event(Some(Entry::with_record(None, &approved())), 100, &presented);
        assert!(heard_first.is_some_and(|entry| entry.is_shown() && entry.on_phone));
    }

    #[test]
    fn a_payment_by_code_is_the_providers_to_tell() {
        let record = IssuerRecord {
            payment: Payment::by_code(TokenRef::new("tok_1"), "cpy_1".into()),
            ..declined()
        };
        let entry = Entry::with_record(None, &record);
        assert!(entry.is_shown());
        let approved = IssuerRecord {
            payment: record.payment.clone(),
            ..approved()
        };
        let paid = Entry::with_record(None, &approved);
        let taken_back = Entry::with_record(Some(paid), &record);
        assert_eq!(taken_back.state, EntryState::Declined);
        let text = serde_json::to_string(&entry).unwrap();
        assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry);
    }

    #[test]
    fn what_the_issuer_never_confirms_expires() {
        let entry = Entry::with_event(None, 100, &cryptogram()).unwrap();
        assert_eq!(entry.state_at(1100, 1000), EntryState::Incomplete);
        assert_eq!(entry.state_at(1101, 1000), EntryState::Expired);
        let entry = Entry::with_record(Some(entry), &approved());
        assert_eq!(entry.state_at(i64::MAX, 1000), EntryState::Matched);
    }
}
