//! What was paid with a token's keys, by the journal.

use super::WalletError;
use super::open::Opened;
use crate::emv::verification::Tally;
use crate::token::{Paid, TokenRef};

/// A token's payments in the journal behind `after` and up to `through`, the oldest first.
pub(super) fn paid_between(
    opened: &Opened,
    token: &TokenRef,
    after: i64,
    through: i64,
) -> Result<Vec<Paid>, WalletError> {
    let journal = opened.vault.read(|tx| tx.journal_after(after))?;
    let within = journal.iter().take_while(|(seq, ..)| *seq <= through);
    let paid = within.filter_map(|(_, _, event)| event.paid());
    let of_token = paid.filter(|(of, _)| *of == token);
    Ok(of_token.map(|(_, paid)| paid).collect())
}

/// A tally, with payments taken in.
pub(super) fn tallied(mut tally: Tally, paid: &[Paid]) -> Tally {
    for paid in paid {
        tally.note(paid.money, paid.verified);
    }
    tally
}
