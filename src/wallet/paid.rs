//! What was paid with a token's keys, by the journal.

use super::WalletError;
use super::open::Opened;
use crate::token::TokenRef;
use crate::vault::TokenState;

/// Takes in a token's payments that stand in the journal by now: what its keys have spent, and its tally. Once `state` is
/// committed, the journal is not read for them again.
pub(super) fn note_paid(
    opened: &Opened,
    token: &TokenRef,
    state: &mut TokenState,
) -> Result<(), WalletError> {
    let (journal, newest) = opened.vault.read(|tx| {
        let newest = tx.last_position()?;
        // Rows that were put back leave the wallet behind what it has noted: what comes now counts all the same.
        Ok((tx.journal_after(state.noted_through.min(newest))?, newest))
    })?;
    state.noted_through = state.noted_through.min(newest);
    for (seq, _, event) in &journal {
        if let Some((of, paid)) = event.paid()
            && of == token
        {
            state.keys.note(&paid);
            state.tally.note(paid.money, paid.verified);
        }
        state.noted_through = *seq;
    }
    Ok(())
}
