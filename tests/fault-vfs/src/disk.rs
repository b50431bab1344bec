//! A folder in care: what was planned for it, what has happened.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::fault::{Code, Counts, Fault, Operation};
use crate::platter::{Change, Loss, Platter};
use crate::vfs;

/// The folders in care; one that was dropped is passed through again.
static DISKS: Mutex<Vec<(PathBuf, Weak<Disk>)>> = Mutex::new(Vec::new());

/// Where a fault has hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The operation's number.
    pub at: u64,
    /// What it was.
    pub operation: Operation,
    /// Name of the file.
    pub file: String,
}

/// A folder in care.
pub struct Disk {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    platter: Platter,
    counts: Counts,
    plan: Option<Fault>,
    hit: Option<Hit>,
    /// Set when the power goes: files that SQLite knows nothing of, as they were then.
    others: Option<BTreeMap<String, Vec<u8>>>,
}

/// What the shim does with an operation.
pub(crate) enum Verdict {
    /// Let it through.
    Pass,
    /// Refuse it.
    Refuse(Code),
    /// The power goes in the middle of it: it has begun, nobody hears how it ended.
    Dies,
}

impl Disk {
    /// Takes a folder into care, with what it holds as durable. All SQLite files of this process that are opened in it from
    /// now on, and until the disk is dropped, go through it.
    ///
    /// # Panics
    /// When the folder cannot be read, or SQLite does not take the VFS.
    #[must_use]
    pub fn at(folder: &Path) -> Arc<Self> {
        vfs::register();
        let folder = fs::canonicalize(folder).expect("the folder of a disk is there");
        let mut state = State::default();
        for (name, content) in files(&folder) {
            state.platter.import(&name, content);
        }
        let disk = Arc::new(Self {
            folder: folder.clone(),
            state: Mutex::new(state),
        });
        let mut disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
        disks.retain(|(_, disk)| disk.strong_count() > 0);
        disks.push((folder, Arc::downgrade(&disk)));
        disk
    }

    /// The disk that has this file, and the file's name there.
    pub(crate) fn of(path: &Path) -> Option<(Arc<Self>, String)> {
        let disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
        let parent = path.parent()?;
        let mut held = disks.iter().filter(|(folder, _)| folder == parent);
        let disk = held.find_map(|(_, disk)| disk.upgrade())?;
        Some((disk, name(path)?))
    }

    /// Plans a fault, in place of an earlier one, and counts from the beginning again.
    pub fn plan(&self, fault: Fault) {
        let mut state = self.lock();
        state.counts = Counts::default();
        state.hit = None;
        state.plan = Some(fault);
    }

    /// Plans nothing any more: operations succeed again, unless the power is gone.
    pub fn heal(&self) {
        self.lock().plan = None;
    }

    /// The power goes now.
    pub fn cut(&self) {
        self.die(&mut self.lock());
    }

    /// Where the planned fault has hit first.
    #[must_use]
    pub fn hit(&self) -> Option<Hit> {
        self.lock().hit.clone()
    }

    /// Whether the power is gone.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.lock().others.is_some()
    }

    /// Operations since the last plan.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Cuts the power, if that has not happened, and writes what `loss` leaves into another folder, which is made where it
    /// is not there. Shared memory (`-shm`) is never left; files that were made without SQLite are, as if synced. The same
    /// end can be revived in several ways.
    ///
    /// # Panics
    /// When the other folder cannot be written.
    pub fn revive(&self, loss: Loss, into: &Path) {
        let mut state = self.lock();
        self.die(&mut state);
        fs::create_dir_all(into).expect("the folder to revive into can be made");
        let others = state.others.clone().unwrap_or_default();
        for (name, content) in others.into_iter().chain(state.platter.after(loss)) {
            fs::write(into.join(name), content).expect("the folder to revive into can be written");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn die(&self, state: &mut State) {
        if state.others.is_some() {
            return;
        }
        self.look_around(state);
        let mut others = files(&self.folder);
        others.retain(|name, _| state.platter.find(name).is_none());
        state.others = Some(others);
    }

    /// Files may be deleted without SQLite: those deletions are as little durable as its own.
    fn look_around(&self, state: &mut State) {
        let folder = &self.folder;
        state.platter.retain(|name| folder.join(name).exists());
    }

    fn step(&self, state: &mut State, operation: Operation, file: &str, grows: bool) -> Verdict {
        if state.others.is_some() {
            return Verdict::Refuse(Code::Io);
        }
        state.counts.add(operation);
        let count = state.counts.total();
        let Some(fault) = state.plan else {
            return Verdict::Pass;
        };
        if !fault.hits(operation, count, grows, state.hit.is_some()) {
            return Verdict::Pass;
        }
        state.hit.get_or_insert_with(|| Hit {
            at: count,
            operation,
            file: file.to_owned(),
        });
        match fault {
            Fault::Once { code, .. } | Fault::Lasting { code, .. } => Verdict::Refuse(code),
            Fault::Cut { .. } => Verdict::Dies,
        }
    }

    /// A file is opened; `really` opens it in the folder.
    pub(crate) fn open(
        &self,
        name: &str,
        really: impl FnOnce() -> i32,
    ) -> Result<Result<usize, i32>, Code> {
        let mut state = self.lock();
        match self.step(&mut state, Operation::Open, name, false) {
            Verdict::Pass => {}
            Verdict::Refuse(code) => return Err(code),
            Verdict::Dies => {
                self.die(&mut state);
                return Err(Code::Io);
            }
        }
        self.look_around(&mut state);
        let path = self.folder.join(name);
        let there = path.exists();
        let opened = really();
        if opened != 0 {
            return Ok(Err(opened));
        }
        Ok(Ok(match state.platter.find(name) {
            Some(inode) => inode,
            // Put there without SQLite, as by a test.
            None if there => state
                .platter
                .import(name, fs::read(&path).unwrap_or_default()),
            None => state.platter.create(name),
        }))
    }

    /// A file is changed; `really` changes it in the folder.
    pub(crate) fn change(
        &self,
        (inode, name): (usize, &str),
        change: Change,
        really: impl FnOnce() -> i32,
    ) -> Result<i32, Code> {
        let mut state = self.lock();
        let (operation, grows) = match &change {
            Change::Write { at, bytes } => (
                Operation::Write,
                at + bytes.len() > state.platter.length(inode),
            ),
            Change::Truncate { .. } => (Operation::Truncate, false),
        };
        match self.step(&mut state, operation, name, grows) {
            Verdict::Pass => {
                let done = really();
                if done == 0 {
                    state.platter.change(inode, change);
                }
                Ok(done)
            }
            Verdict::Refuse(code) => Err(code),
            Verdict::Dies => {
                state.platter.change(inode, change);
                self.die(&mut state);
                Err(Code::Io)
            }
        }
    }

    /// A file is synced, `with_folder` for one whose name is new.
    pub(crate) fn sync(&self, (inode, name): (usize, &str), with_folder: bool) -> Result<(), Code> {
        let mut state = self.lock();
        match self.step(&mut state, Operation::Sync, name, false) {
            Verdict::Pass => {
                state.platter.sync(inode);
                if with_folder {
                    self.look_around(&mut state);
                    state.platter.sync_folder();
                }
                Ok(())
            }
            Verdict::Refuse(code) => Err(code),
            Verdict::Dies => {
                self.die(&mut state);
                Err(Code::Io)
            }
        }
    }

    /// A file is deleted; `really` deletes it in the folder.
    pub(crate) fn delete(
        &self,
        name: &str,
        with_folder: bool,
        really: impl FnOnce() -> i32,
    ) -> Result<i32, Code> {
        let mut state = self.lock();
        match self.step(&mut state, Operation::Delete, name, false) {
            Verdict::Pass => {
                let done = really();
                if done == 0 {
                    state.platter.delete(name);
                    if with_folder {
                        self.look_around(&mut state);
                        state.platter.sync_folder();
                    }
                }
                Ok(done)
            }
            Verdict::Refuse(code) => Err(code),
            Verdict::Dies => {
                state.platter.delete(name);
                self.die(&mut state);
                Err(Code::Io)
            }
        }
    }
}

fn name(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_str()?.to_owned())
}

/// The files of a folder, but for shared memory, which never survives its processes. One that goes while it is read was
/// not there.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| Some((name(&entry.path())?, entry.path())));
    let kept = named.filter(|(name, path)| !name.ends_with("-shm") && path.is_file());
    kept.filter_map(|(name, path)| Some((name, fs::read(path).ok()?)))
        .collect()
}
