//! What the parties' own books and the phone's statement say about the demo, and whether that is what should be.
//!
//! Nothing here comes from what the demo did or saw: only from `sandbox ledger --json` and `phone statement --json`,
//! as anybody could call them afterwards.

use serde::{Deserialize, Serialize};

/// A party's books, as `sandbox ledger --json` prints them.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Ledger {
    pub(super) entries: Vec<LedgerEntry>,
    pub(super) balanced: bool,
}

/// One line of them; members the demo has no use for are passed over.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct LedgerEntry {
    pub(super) debit: String,
    pub(super) amount_minor: i64,
    pub(super) currency: String,
    pub(super) result: String,
    pub(super) reason: Option<String>,
    pub(super) atc: Option<u32>,
    pub(super) arqc: Option<String>,
}

/// The statement, as `phone statement --json` prints it: handed on as it is, read only to be checked.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Statement {
    pub(super) entries: Vec<serde_json::Value>,
}

impl Statement {
    /// The state of the entry with this counter.
    pub(super) fn state(&self, atc: u32) -> Option<&str> {
        self.entries
            .iter()
            .find(|entry| {
                entry.get("atc").and_then(serde_json::Value::as_u64) == Some(u64::from(atc))
            })?
            .get("state")?
            .as_str()
    }

    fn in_state(&self, state: &str) -> usize {
        self.entries
            .iter()
            .filter(|entry| entry.get("state").and_then(serde_json::Value::as_str) == Some(state))
            .count()
    }
}

/// One genuine tap, as the network recorded it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Tap {
    amount_minor: i64,
    currency: String,
    atc: Option<u32>,
    arqc: Option<String>,
    result: String,
}

/// One refusal by the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Refusal {
    by: &'static str,
    reason: Option<String>,
    amount_minor: i64,
    atc: Option<u32>,
}

/// What `demo --json` prints.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Evidence {
    taps: Vec<Tap>,
    refusals: Vec<Refusal>,
    statement: Vec<serde_json::Value>,
    elapsed_ms: u64,
    /// Whether the network's books balance: demanded, not printed.
    #[serde(skip)]
    network_balanced: bool,
}

impl Evidence {
    /// Puts the documents together.
    pub(super) fn gather(network: &Ledger, statement: &Statement, elapsed_ms: u64) -> Self {
        let (taps, refused): (Vec<_>, Vec<_>) = network
            .entries
            .iter()
            .partition(|entry| entry.result == "approved");
        Self {
            taps: taps
                .into_iter()
                .map(|entry| Tap {
                    amount_minor: entry.amount_minor,
                    currency: entry.currency.clone(),
                    atc: entry.atc,
                    arqc: entry.arqc.clone(),
                    result: entry.result.clone(),
                })
                .collect(),
            refusals: refused
                .into_iter()
                .filter(|entry| entry.result == "declined")
                .map(|entry| Refusal {
                    by: "network",
                    reason: entry.reason.clone(),
                    amount_minor: entry.amount_minor,
                    atc: entry.atc,
                })
                .collect(),
            statement: statement.entries.clone(),
            elapsed_ms,
            network_balanced: network.balanced,
        }
    }

    /// Everything that is not as it should be, in sentences; empty when all of it happened. `paid` are the amounts the
    /// shop asked for in the two genuine taps, `offline` is the statement from when the phone could not reach anybody.
    pub(super) fn complaints(
        &self,
        paid: [i64; 2],
        bank: &Ledger,
        offline: &Statement,
        last: &Statement,
    ) -> Vec<String> {
        let mut list = Vec::new();
        let mut demand = |holds: bool, what: &str| {
            if !holds {
                list.push(what.to_owned());
            }
        };
        let amounts: Vec<i64> = self.taps.iter().map(|tap| tap.amount_minor).collect();
        demand(
            amounts == paid,
            "the network did not approve the two genuine taps, and only them",
        );
        let atcs: Vec<u32> = self.taps.iter().filter_map(|tap| tap.atc).collect();
        demand(
            atcs.len() == 2 && atcs.first() < atcs.get(1),
            "the counters of the two taps do not rise",
        );
        let reasons: Vec<Option<&str>> = self
            .refusals
            .iter()
            .map(|refusal| refusal.reason.as_deref())
            .collect();
        demand(
            reasons == [Some("atc_replayed"), Some("cryptogram_invalid")],
            "the network did not refuse the two lies with atc_replayed and cryptogram_invalid",
        );
        demand(self.network_balanced, "the network's books do not balance");
        demand(bank.balanced, "the bank's books do not balance");
        let debited: Vec<i64> = bank
            .entries
            .iter()
            .filter(|entry| entry.result == "approved" && entry.debit.starts_with("customer:"))
            .map(|entry| entry.amount_minor)
            .collect();
        demand(
            debited == paid,
            "the bank did not debit the two amounts once each",
        );
        let state = |statement: &Statement, at: usize| {
            atcs.get(at)
                .and_then(|atc| statement.state(*atc))
                .map(str::to_owned)
                .unwrap_or_default()
        };
        demand(
            state(offline, 0) == "matched",
            "tap 1 was not matched before the phone lost its way to the provider",
        );
        demand(
            state(offline, 1) == "pending",
            "tap 2 was not pending while the phone could not reach the provider",
        );
        demand(
            state(last, 0) == "matched" && state(last, 1) == "matched",
            "the two taps are not both matched in the end",
        );
        let tampered = self
            .refusals
            .iter()
            .find(|refusal| refusal.reason.as_deref() == Some("cryptogram_invalid"))
            .and_then(|refusal| refusal.atc);
        demand(
            tampered.and_then(|atc| last.state(atc)) == Some("declined"),
            "the tampered tap does not end as declined",
        );
        demand(
            last.in_state("matched") == 2,
            "something else than the two genuine taps is matched",
        );
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn network() -> Ledger {
        let entry = |amount: i64, atc: u32, result: &str, reason: Option<&str>| {
            json!({"at": "", "kind": "", "debit": "", "credit": "", "amount_minor": amount, "currency": "CNY",
                "merchant": "", "reference": "", "result": result, "reason": reason, "atc": atc, "arqc": "00"})
        };
        serde_json::from_value(json!({"party": "network", "balanced": true, "entries": [
            entry(1250, 1, "approved", None),
            entry(3800, 5, "approved", None),
            entry(3800, 5, "declined", Some("atc_replayed")),
            entry(99_000, 6, "declined", Some("cryptogram_invalid")),
        ]}))
        .unwrap()
    }

    fn bank(amounts: &[i64]) -> Ledger {
        let entries: Vec<_> = amounts
            .iter()
            .map(|amount| {
                json!({"debit": "customer:card_1", "amount_minor": amount, "currency": "CNY", "result": "approved", "reason": null})
            })
            .collect();
        serde_json::from_value(json!({"balanced": true, "entries": entries})).unwrap()
    }

    fn statement(second: &str) -> Statement {
        let entries = json!([{"atc": 6, "state": "declined"}, {"atc": 5, "state": second}, {"atc": 1, "state": "matched"}]);
        serde_json::from_value(json!({ "entries": entries })).unwrap()
    }

    #[test]
    fn all_of_it_happened() {
        let (offline, last) = (statement("pending"), statement("matched"));
        let evidence = Evidence::gather(&network(), &last, 1);
        assert_eq!(
            evidence.complaints([1250, 3800], &bank(&[1250, 3800]), &offline, &last),
            Vec::<String>::new()
        );
        let json = serde_json::to_value(&evidence).unwrap();
        assert_eq!(
            json["refusals"][0],
            json!({"by": "network", "reason": "atc_replayed", "amount_minor": 3800, "atc": 5})
        );
        assert_eq!(json["taps"][1]["atc"], 5);
    }

    #[test]
    fn whatever_is_missing_is_said() {
        let last = statement("matched");
        let evidence = Evidence::gather(&network(), &last, 1);
        let complaints = |bank: &Ledger, offline: &Statement, last: &Statement| {
            evidence.complaints([1250, 3800], bank, offline, last)
        };
        assert_eq!(
            complaints(&bank(&[1250, 3800, 3800]), &statement("pending"), &last).len(),
            1
        );
        assert_eq!(
            complaints(&bank(&[1250, 3800]), &statement("matched"), &last).len(),
            1
        );
        assert_eq!(
            complaints(
                &bank(&[1250, 3800]),
                &statement("pending"),
                &statement("pending")
            )
            .len(),
            2
        );
        assert_eq!(
            Evidence::gather(
                &Ledger {
                    entries: vec![],
                    balanced: true
                },
                &last,
                1
            )
            .complaints(
                [1250, 3800],
                &bank(&[]),
                &Statement::default(),
                &Statement::default()
            )
            .len(),
            9
        );
    }

    #[test]
    fn the_tampered_tap_ends_declined_and_all_books_balance() {
        let unbalanced = Ledger {
            balanced: false,
            ..network()
        };
        let mut last = statement("matched");
        let complaints = |network: &Ledger, bank: &Ledger, last: &Statement| {
            Evidence::gather(network, last, 1).complaints(
                [1250, 3800],
                bank,
                &statement("pending"),
                last,
            )
        };
        let paid = bank(&[1250, 3800]);
        assert_eq!(
            complaints(&unbalanced, &paid, &last),
            ["the network's books do not balance"]
        );
        let crooked = Ledger {
            balanced: false,
            ..paid.clone()
        };
        assert_eq!(
            complaints(&network(), &crooked, &last),
            ["the bank's books do not balance"]
        );
        last.entries[0]["state"] = json!("pending");
        assert_eq!(
            complaints(&network(), &paid, &last),
            ["the tampered tap does not end as declined"]
        );
    }
}
