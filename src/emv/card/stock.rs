//! What the card holds to pay with: blocks of counters under keys, joined, queued, burnt and given back.

use super::{ArmedToken, Card};
use crate::emv::atc::AtcBlock;
use crate::token::{KeyIndex, TokenRef};

impl Card {
    /// The tokens, as they are armed now.
    pub fn tokens(&self) -> &[ArmedToken] {
        &self.tokens
    }

    /// Arms a token, or arms it anew; a stay in the field that is going on continues.
    ///
    /// Taps may have gone on while the new block was made durable, so it is joined here to what is left *now*. A block
    /// under another key waits until the one in use is empty.
    pub fn arm(&mut self, mut token: ArmedToken) {
        let Some(at) = self.position(&token.token) else {
            self.tokens.push(token);
            self.arrange();
            return;
        };
        // What waits goes first: counters leave in rising order.
        self.take_next(at);
        let Some(held) = self.tokens.get_mut(at) else {
            return;
        };
        // What this process paid is known here first.
        token.tally = held.tally;
        if held.key_index == token.key_index {
            token.allowance = held.allowance;
            if !held.atcs.leads_to(token.atcs) {
                // Counters went elsewhere in between: those left here are burnt, their uses are not.
                self.spared
                    .push((token.token.clone(), held.key_index, held.atcs.left()));
            }
            token.atcs = held.atcs.then(token.atcs);
            *held = token;
        } else if held.atcs.left() == 0 {
            *held = token;
        } else {
            self.queued.retain(|queued| queued.token != token.token);
            self.queued.push(token);
        }
    }

    /// Puts the block that waits in place of one that is empty.
    pub(super) fn take_next(&mut self, at: usize) {
        let Some(held) = self.tokens.get_mut(at).filter(|held| held.atcs.left() == 0) else {
            return;
        };
        let mut queued = self.queued.iter();
        if let Some(next) = queued.position(|next| next.token == held.token) {
            let tally = held.tally;
            *held = self.queued.remove(next);
            held.tally = tally;
        }
    }

    /// Sets a key aside under which a payment does not fit any more: its uses come back, its counters are burnt.
    pub(super) fn set_aside(&mut self, at: usize) {
        if let Some(held) = self.tokens.get_mut(at) {
            let (token, left) = (held.token.clone(), held.atcs.left());
            self.spared.push((token.clone(), held.key_index, left));
            self.worn.push((token, held.key_index));
            held.atcs = AtcBlock::new(held.atcs.end(), held.atcs.end());
        }
    }

    /// Hands over the keys that others are to pay before.
    pub fn take_worn(&mut self) -> Vec<(TokenRef, KeyIndex)> {
        std::mem::take(&mut self.worn)
    }

    /// Hands over the uses of keys that were reserved and not needed.
    pub fn take_spared(&mut self) -> Vec<(TokenRef, KeyIndex, u32)> {
        std::mem::take(&mut self.spared)
    }

    /// Puts both back, where they could not be written down.
    pub fn put_back(
        &mut self,
        spared: Vec<(TokenRef, KeyIndex, u32)>,
        worn: Vec<(TokenRef, KeyIndex)>,
    ) {
        self.spared.extend(spared);
        self.worn.extend(worn);
    }

    /// Burns what is reserved under keys whose time is over.
    pub fn expire(&mut self, now_ms: i64) {
        for held in self.tokens.iter_mut().chain(&mut self.queued) {
            if held.not_after_ms <= now_ms {
                held.atcs = AtcBlock::new(held.atcs.end(), held.atcs.end());
            }
        }
    }

    /// Takes a token out of the card: it can pay no more.
    pub fn remove(&mut self, token: &TokenRef) {
        self.queued.retain(|queued| queued.token != *token);
        self.spared.retain(|(of, ..)| of != token);
        if let Some(consent) = &mut self.consent {
            consent.keys.retain(|key| key.token != *token);
        }
        if let Some(at) = self.position(token) {
            self.tokens.remove(at);
            // Selections are positions in the list.
            self.forget_field();
            self.arrange();
        }
    }

    /// Payments that a token has reserved: those of the key in use and of the one that waits.
    pub fn left(&self, token: &TokenRef) -> u32 {
        let blocks = self.tokens.iter().chain(&self.queued);
        blocks
            .filter(|held| held.token == *token)
            .map(|held| held.atcs.left())
            .sum()
    }

    /// What was reserved and not used, by token and key.
    pub fn unused(&self) -> Vec<(TokenRef, KeyIndex, u32)> {
        let blocks = self.tokens.iter().chain(&self.queued);
        let permitted = self.consent.iter().flat_map(|consent| &consent.keys);
        let permitted = permitted.map(|key| (key.token.clone(), key.key_index, 1));
        blocks
            .map(|held| (held.token.clone(), held.key_index, held.atcs.left()))
            .chain(permitted)
            .chain(self.spared.iter().cloned())
            .collect()
    }

    pub(super) fn position(&self, token: &TokenRef) -> Option<usize> {
        self.tokens.iter().position(|held| held.token == *token)
    }
}
