//! The shape in which every party shows its books.

use serde::{Deserialize, Serialize};

/// One line of a party's books. `debit` and `credit` name accounts; both are empty in a memo (a line that moves nothing).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// When it was booked, RFC 3339.
    pub at: String,
    /// What happened: `payment`, `decline`, `memo`, `opening`, …
    pub kind: String,
    /// Account debited, or empty.
    pub debit: String,
    /// Account credited, or empty.
    pub credit: String,
    /// Minor units. A line that moves nothing still says the amount that was asked for.
    pub amount_minor: i64,
    /// ISO 4217 letters.
    pub currency: String,
    /// The merchant as the terminal named it.
    pub merchant: String,
    /// What the parties know the payment by (the network's reference where there is one).
    pub reference: String,
    /// `approved`, `declined`, …
    pub result: String,
    /// Why not, when declined.
    pub reason: Option<String>,
    /// Application transaction counter, where the party sees it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub atc: Option<u32>,
    /// Application cryptogram, upper-case hex, where the party sees it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub arqc: Option<String>,
    /// Token number masked, or token reference, where the party sees it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub token: Option<String>,
}

/// A party's books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// `bank-a`, `bank-b`, `provider`, `network` or `acquirer`.
    pub party: String,
    /// Oldest first.
    pub entries: Vec<LedgerEntry>,
    /// Whether all debits equal all credits, as the party's own accounts say, not as this listing does.
    pub balanced: bool,
}

/// `…0015` style: the last four digits, everything before them hidden.
#[must_use]
pub fn masked(number: &str) -> String {
    let tail: String = number
        .chars()
        .rev()
        .take(4)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    format!("…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masking_shows_four_digits_only() {
        assert_eq!(masked("6228480402564890015"), "…0015");
        assert_eq!(masked("15"), "…15");
    }

    #[test]
    fn the_keys_are_those_of_the_command_line() {
        let json = serde_json::to_string(&LedgerEntry::default()).unwrap();
        assert_eq!(
            json,
            r#"{"at":"","kind":"","debit":"","credit":"","amount_minor":0,"currency":"","merchant":"","reference":"","result":"","reason":null}"#
        );
    }
}
