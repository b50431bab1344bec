//! Which cards exist and how they behave: pure rules over a number, an expiry and a day.
//!
//! As payment sandboxes have them: **every** Luhn-valid number of 16 to 19 digits under the bank's BIN exists and holds
//! 100,000.00 yuan, except a handful with a purpose, listed in [`BANK_A`] and [`BANK_B`]. Where a 9 follows the BIN, a
//! credit account stands behind the card: it holds nothing and may owe up to 50,000.00 yuan.

use time::{Date, Month};

/// What a new account holds, in minor units: 100,000.00 yuan.
pub const OPENING_BALANCE: i64 = 10_000_000;
/// What a credit account may owe, in minor units: 50,000.00 yuan.
pub const CREDIT_LIMIT: i64 = 5_000_000;
/// The only currency of the sandbox's accounts.
pub const CURRENCY: &str = "CNY";

/// The numbers of one bank that behave badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadNumbers {
    /// Can be added; its account is empty, every payment is declined `insufficient_funds`.
    pub no_funds: &'static str,
    /// Reported lost before it is added: adding is refused `card_reported_lost`.
    pub lost: &'static str,
    /// Can be added, reported lost right afterwards: every payment is declined `card_reported_lost`.
    pub lost_later: &'static str,
    /// Its card has expired, whatever expiry is typed: adding is refused `card_expired`.
    pub expired: &'static str,
    /// Can be added; the bank takes three seconds over each payment, then approves.
    pub slow: &'static str,
    /// The bank does not answer when it is added: `bank_unavailable`.
    pub down: &'static str,
    /// Can be added; the bank does not answer payments: declined `bank_unavailable`.
    pub down_later: &'static str,
}

/// The badly behaving numbers of bank a, BIN 622848.
pub const BANK_A: BadNumbers = BadNumbers {
    no_funds: "6228480000000916",
    lost: "6228480000000924",
    lost_later: "6228480000000932",
    expired: "6228480000000940",
    slow: "6228480000000957",
    down: "6228480000000965",
    down_later: "6228480000000973",
};

/// The badly behaving numbers of bank b, BIN 621700.
pub const BANK_B: BadNumbers = BadNumbers {
    no_funds: "6217000000000915",
    lost: "6217000000000923",
    lost_later: "6217000000000931",
    expired: "6217000000000949",
    slow: "6217000000000956",
    down: "6217000000000964",
    down_later: "6217000000000972",
};

/// How a card of this number behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// As a card should.
    Good,
    /// No money.
    NoFunds,
    /// Reported lost from the start.
    Lost,
    /// Reported lost once it has been added.
    LostLater,
    /// Expired.
    Expired,
    /// Payments take long.
    Slow,
    /// No answer when it is added.
    Down,
    /// No answer to payments.
    DownLater,
}

/// The kind of account behind a card. No prepaid cards are issued so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountType {
    /// A current account's card.
    #[default]
    BankCard,
    /// A credit account.
    Credit,
    /// A prepaid balance.
    Prepaid,
}

impl AccountType {
    /// What stands behind the card `number` of a bank of this `bin`.
    pub fn of(number: &str, bin: &str) -> Self {
        match number.strip_prefix(bin) {
            Some(rest) if rest.starts_with('9') => Self::Credit,
            _ => Self::BankCard,
        }
    }

    /// How far below nothing its balance may go, in minor units.
    pub fn credit_limit(self) -> i64 {
        match self {
            Self::Credit => CREDIT_LIMIT,
            Self::BankCard | Self::Prepaid => 0,
        }
    }

    /// The name in databases and APIs.
    pub fn name(self) -> &'static str {
        match self {
            Self::BankCard => "bank_card",
            Self::Credit => "credit",
            Self::Prepaid => "prepaid",
        }
    }
}

/// Why a number is none of this bank's cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotACard {
    /// Not 16 to 19 digits, or its check digit is wrong: mistyped.
    Malformed,
    /// Another bank's.
    Unknown,
}

/// The behaviour of the card `number`, or why this bank (of this `bin`) has none.
pub fn look_up(number: &str, bin: &str) -> Result<Behaviour, NotACard> {
    if !(16..=19).contains(&number.len()) || !luhn_valid(number) {
        return Err(NotACard::Malformed);
    }
    if !number.starts_with(bin) {
        return Err(NotACard::Unknown);
    }
    let bad = |pick: fn(&BadNumbers) -> &'static str| {
        [BANK_A, BANK_B].iter().any(|bank| pick(bank) == number)
    };
    Ok(match () {
        () if bad(|bank| bank.no_funds) => Behaviour::NoFunds,
        () if bad(|bank| bank.lost) => Behaviour::Lost,
        () if bad(|bank| bank.lost_later) => Behaviour::LostLater,
        () if bad(|bank| bank.expired) => Behaviour::Expired,
        () if bad(|bank| bank.slow) => Behaviour::Slow,
        () if bad(|bank| bank.down) => Behaviour::Down,
        () if bad(|bank| bank.down_later) => Behaviour::DownLater,
        () => Behaviour::Good,
    })
}

/// Whether the last digit checks the others (ISO/IEC 7812-1).
fn luhn_valid(number: &str) -> bool {
    let mut sum = 0;
    for (place, digit) in number.bytes().rev().enumerate() {
        if !digit.is_ascii_digit() {
            return false;
        }
        let value = u32::from(digit - b'0') * (1 + u32::from(place % 2 == 1));
        sum += if value > 9 { value - 9 } else { value };
    }
    sum % 10 == 0
}

/// The first day on which a card with expiry `MM/YY` is no longer valid; nothing when the text is no such month.
pub fn expires_on(expiry: &str) -> Option<Date> {
    let (month, year) = expiry.split_once('/')?;
    let number = |text: &str| {
        (text.len() == 2 && text.bytes().all(|digit| digit.is_ascii_digit()))
            .then(|| text.parse::<u8>().ok())
            .flatten()
    };
    let month = Month::try_from(number(month)?).ok()?;
    let year = 2000 + i32::from(number(year)?);
    let next_year = if month == Month::December {
        year + 1
    } else {
        year
    };
    Date::from_calendar_date(next_year, month.next(), 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    #[test]
    fn any_valid_number_under_the_bin_exists() {
        assert_eq!(look_up("6228480000000015", "622848"), Ok(Behaviour::Good));
        assert_eq!(look_up("6217000000000014", "621700"), Ok(Behaviour::Good));
        assert_eq!(
            look_up("6228480000000015", "621700"),
            Err(NotACard::Unknown)
        );
        // A Luhn-valid number stays so with zeros in front of it only; these are 15 and 20 digits.
        assert_eq!(
            look_up("622848000000000", "622848"),
            Err(NotACard::Malformed)
        );
        assert_eq!(
            look_up("62284800000000000000", "622848"),
            Err(NotACard::Malformed)
        );
        assert_eq!(
            look_up("622848000000000x", "622848"),
            Err(NotACard::Malformed)
        );
    }

    #[test]
    fn a_wrong_check_digit_is_a_typing_mistake() {
        let number = "6228480000000015";
        let wrong = format!(
            "{}{}",
            &number[..15],
            (number.as_bytes()[15] - b'0' + 1) % 10
        );
        assert_eq!(look_up(&wrong, "622848"), Err(NotACard::Malformed));
    }

    #[test]
    fn the_bad_numbers_are_valid_and_their_bank_s() {
        for (bank, bin) in [(BANK_A, "622848"), (BANK_B, "621700")] {
            for (number, behaviour) in [
                (bank.no_funds, Behaviour::NoFunds),
                (bank.lost, Behaviour::Lost),
                (bank.lost_later, Behaviour::LostLater),
                (bank.expired, Behaviour::Expired),
                (bank.slow, Behaviour::Slow),
                (bank.down, Behaviour::Down),
                (bank.down_later, Behaviour::DownLater),
            ] {
                assert_eq!(look_up(number, bin), Ok(behaviour), "{number}");
            }
        }
    }

    #[test]
    fn a_card_lives_to_the_end_of_its_month() {
        assert_eq!(expires_on("11/26"), Some(date!(2026 - 12 - 01)));
        assert_eq!(expires_on("12/26"), Some(date!(2027 - 01 - 01)));
        for wrong in [
            "13/26", "00/26", "1/26", "11/2026", "1126", "", "é/26", "+1/26",
        ] {
            assert_eq!(expires_on(wrong), None, "{wrong}");
        }
    }
}
