//! Application transaction counters (EMV Book 3, tag 9F36): each used once, rising, never past 65535.

/// Application transaction counters that are reserved, each used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtcBlock {
    next: u32,
    end: u32,
}

impl AtcBlock {
    /// The ATCs from `next` up to and without `end`; 65535 is the last there is.
    pub fn new(next: u32, end: u32) -> Self {
        let end = end.min(0x1_0000);
        Self {
            next: next.min(end),
            end,
        }
    }

    /// How many are left.
    pub fn left(&self) -> u32 {
        self.end - self.next
    }

    /// One past the last.
    pub fn end(&self) -> u32 {
        self.end
    }

    /// Whether `next` follows this block without a gap.
    pub(super) fn leads_to(self, next: Self) -> bool {
        self.end == next.next
    }

    /// This block and `next` behind it, when they follow each other; else `next` alone, and what is left here is burnt.
    pub(super) fn then(self, next: Self) -> Self {
        match self.leads_to(next) {
            true => Self {
                next: self.next,
                end: next.end,
            },
            false => next,
        }
    }

    pub(super) fn take(&mut self) -> Option<u16> {
        if self.next >= self.end {
            return None;
        }
        let atc = u16::try_from(self.next).ok()?;
        self.next += 1;
        Some(atc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s25_the_last_counter_is_65535_and_none_comes_after_it() {
        let mut block = AtcBlock::new(65_534, 65_540);
        assert_eq!(block.left(), 2);
        assert_eq!(
            (block.take(), block.take(), block.take()),
            (Some(65_534), Some(65_535), None)
        );
        assert_eq!(AtcBlock::new(65_536, 65_540).left(), 0);
    }

    #[test]
    fn a_block_that_follows_extends_what_is_left() {
        let mut block = AtcBlock::new(1, 5);
        block.take();
        block.take();
        assert_eq!(block.then(AtcBlock::new(5, 9)), AtcBlock::new(3, 9));
        assert_eq!(block.then(AtcBlock::new(9, 13)), AtcBlock::new(9, 13));
    }
}
