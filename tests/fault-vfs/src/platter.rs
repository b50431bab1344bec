//! What is on the platter: contents as of their last sync, the changes since, and names apart from contents.

use std::collections::BTreeMap;

/// Disks write sectors; what is torn is torn between them.
const SECTOR: usize = 512;

/// How much of what was not synced is lost at a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing: the process was killed, the system wrote everything out.
    Nothing,
    /// Everything that was not synced.
    Unsynced,
    /// Each change is kept or lost by itself, in no order.
    Some {
        /// Of the random choice.
        seed: u64,
    },
    /// Each change is cut between two of its sectors, and one side of it is lost.
    Torn {
        /// Of the random choice.
        seed: u64,
    },
}

/// A change that was not synced.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate { to: usize },
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => write(content, *at, bytes),
            Self::Truncate { to } => content.resize(*to, 0),
        }
    }

    /// One side of it, at random.
    fn apply_torn(&self, content: &mut Vec<u8>, dice: &mut Dice) {
        let Self::Write { at, bytes } = self else {
            if dice.heads() {
                self.apply(content);
            }
            return;
        };
        let end = at + bytes.len();
        let first_border = (at / SECTOR + 1) * SECTOR;
        let borders = (first_border..end).step_by(SECTOR).collect::<Vec<_>>();
        let border = match borders.len() {
            // A write within a sector is there or not.
            0 => end,
            many => borders[dice.below(many)],
        };
        let (before, after) = bytes.split_at(border - at);
        match dice.heads() {
            true => write(content, *at, before),
            false => write(content, border, after),
        }
    }
}

fn write(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if bytes.is_empty() {
        return;
    }
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(bytes);
}

/// A file's content, whatever it is called.
#[derive(Default)]
struct Inode {
    synced: Vec<u8>,
    unsynced: Vec<Change>,
    /// Length with all changes.
    length: usize,
}

/// A folder's files, with their names: those the process sees, and those that are durable.
#[derive(Default)]
pub(crate) struct Platter {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
}

impl Platter {
    /// A file that was there before, wholly durable.
    pub(crate) fn import(&mut self, name: &str, content: Vec<u8>) -> usize {
        let inode = self.push(Inode {
            length: content.len(),
            synced: content,
            unsynced: Vec::new(),
        });
        self.names.insert(name.to_owned(), inode);
        self.durable_names.insert(name.to_owned(), inode);
        inode
    }

    /// A new, empty file.
    pub(crate) fn create(&mut self, name: &str) -> usize {
        let inode = self.push(Inode::default());
        self.names.insert(name.to_owned(), inode);
        inode
    }

    fn push(&mut self, inode: Inode) -> usize {
        self.inodes.push(inode);
        self.inodes.len() - 1
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    pub(crate) fn length(&self, inode: usize) -> usize {
        self.inodes[inode].length
    }

    pub(crate) fn change(&mut self, inode: usize, change: Change) {
        let inode = &mut self.inodes[inode];
        inode.length = match &change {
            Change::Write { at, bytes } => inode.length.max(at + bytes.len()),
            Change::Truncate { to } => *to,
        };
        inode.unsynced.push(change);
    }

    pub(crate) fn sync(&mut self, inode: usize) {
        let inode = &mut self.inodes[inode];
        for change in inode.unsynced.drain(..) {
            change.apply(&mut inode.synced);
        }
    }

    pub(crate) fn sync_folder(&mut self) {
        self.durable_names.clone_from(&self.names);
    }

    pub(crate) fn delete(&mut self, name: &str) {
        self.names.remove(name);
    }

    /// Notices what was deleted without SQLite.
    pub(crate) fn retain(&mut self, mut is_there: impl FnMut(&str) -> bool) {
        self.names.retain(|name, _| is_there(name));
    }

    /// What is there after the power is back.
    pub(crate) fn after(&self, loss: Loss) -> BTreeMap<String, Vec<u8>> {
        let mut dice = match loss {
            Loss::Nothing | Loss::Unsynced => Dice(0),
            Loss::Some { seed } | Loss::Torn { seed } => Dice(seed),
        };
        let mut names = match loss {
            Loss::Nothing => self.names.clone(),
            _ => self.durable_names.clone(),
        };
        if matches!(loss, Loss::Some { .. } | Loss::Torn { .. }) {
            // Each new name, each deletion and each replacement may have reached the platter by itself.
            let both = self.names.keys().chain(self.durable_names.keys());
            for name in both.collect::<std::collections::BTreeSet<_>>() {
                if self.names.get(name) == self.durable_names.get(name) || dice.heads() {
                    continue;
                }
                match self.names.get(name) {
                    Some(inode) => drop(names.insert(name.clone(), *inode)),
                    None => drop(names.remove(name)),
                }
            }
        }
        let contents = names.into_iter().map(|(name, inode)| {
            let inode = &self.inodes[inode];
            let mut content = inode.synced.clone();
            for change in &inode.unsynced {
                match loss {
                    Loss::Nothing => change.apply(&mut content),
                    Loss::Unsynced => {}
                    Loss::Some { .. } if dice.heads() => change.apply(&mut content),
                    Loss::Some { .. } => {}
                    Loss::Torn { .. } => change.apply_torn(&mut content, &mut dice),
                }
            }
            (name, content)
        });
        contents.collect()
    }
}

/// Repeatable chance (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn heads(&mut self) -> bool {
        self.next() & 1 == 1
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(changes: &[(usize, &[u8])]) -> Platter {
        let mut platter = Platter::default();
        let inode = platter.import("f", b"0123456789".to_vec());
        for (at, bytes) in changes {
            let bytes = bytes.to_vec();
            platter.change(inode, Change::Write { at: *at, bytes });
        }
        platter
    }

    #[test]
    fn what_was_synced_stays_whatever_is_lost() {
        let mut platter = written(&[(2, b"xx"), (9, b"yyy")]);
        platter.sync(0);
        for seed in 0..20 {
            for loss in [
                Loss::Nothing,
                Loss::Unsynced,
                Loss::Some { seed },
                Loss::Torn { seed },
            ] {
                assert_eq!(platter.after(loss)["f"], b"01xx45678yyy", "{loss:?}");
            }
        }
    }

    #[test]
    fn what_was_not_synced_is_lost_kept_or_in_between() {
        let platter = written(&[(0, b"a"), (1, b"b"), (12, b"c")]);
        assert_eq!(platter.after(Loss::Nothing)["f"], b"ab23456789\0\0c");
        assert_eq!(platter.after(Loss::Unsynced)["f"], b"0123456789");
        let seen: std::collections::BTreeSet<_> = (0..200)
            .map(|seed| platter.after(Loss::Some { seed })["f"].clone())
            .collect();
        assert_eq!(seen.len(), 8, "every subset comes up");
    }

    #[test]
    fn a_torn_write_leaves_whole_sectors_of_one_side() {
        let platter = written(&[(0, &[7; 1536])]);
        for seed in 0..50 {
            let content = &platter.after(Loss::Torn { seed })["f"];
            let new = |sector: usize| {
                let end = content.len().min(sector * SECTOR + SECTOR);
                content.get(sector * SECTOR..end).is_some_and(|sector| {
                    !sector.is_empty() && sector.iter().all(|byte| *byte == 7)
                })
            };
            let sectors = [new(0), new(1), new(2)];
            let torn = [
                [true, false, false],
                [true, true, false],
                [false, true, true],
                [false, false, true],
            ];
            assert!(torn.contains(&sectors), "{sectors:?}");
        }
    }

    #[test]
    fn names_are_durable_with_their_folder() {
        let mut platter = written(&[]);
        platter.delete("f");
        platter.create("g");
        platter.sync(1);
        let names = |loss| platter.after(loss).into_keys().collect::<Vec<_>>();
        assert_eq!(names(Loss::Unsynced), ["f"]);
        assert_eq!(names(Loss::Nothing), ["g"]);
        platter.sync_folder();
        let names = platter.after(Loss::Unsynced).into_keys();
        assert_eq!(names.collect::<Vec<_>>(), ["g"]);
    }
}
