//! A phone whose app lives again and again: each life on a folder of its own, with what the last one left.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fault_vfs::{Disk, Loss};
use rusqlite::Connection;
use tapcore::ffi::{
    Answer, CodeKind, CodeState, CodeView, StatementEntry, Wallet, WalletConfig, WalletError,
    WalletEvent, WalletObserver,
};
use tempfile::TempDir;

use crate::anchor::{Anchor, Hardware, SystemClock};
use crate::common::copy_folder;
use crate::field::{RECORDS, SELECT, gpo, status};
use crate::process::PATIENCE;
use crate::relay::Relay;

/// Waits for the wallet, but not for ever: a sweep that hangs must say where.
#[track_caller]
pub(crate) fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let patient = async { tokio::time::timeout(PATIENCE, work).await };
    let done = runtime.unwrap().block_on(patient);
    done.unwrap_or_else(|_| panic!("the wallet does not answer"))
}

/// A cryptogram that has left the phone, to a reader or over the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paid {
    /// Track 2 equivalent data: which token.
    pub(crate) token: String,
    pub(crate) atc: u16,
    /// Issuer application data: which key.
    pub(crate) key: String,
    pub(crate) cryptogram: String,
}

impl Paid {
    /// Out of the answer to a GPO.
    fn read(answer: &[u8]) -> Self {
        let objects = template(answer);
        Self::of(&objects["57"], &objects)
    }

    /// Out of a consumer-presented code.
    fn presented(code: &str) -> Self {
        let code = objects(&STANDARD.decode(code).unwrap());
        let inside = |template: &str| objects(&hex::decode(template).unwrap());
        let application = inside(&code["61"]);
        let common = inside(&code["62"]);
        Self::of(&application["57"], &inside(&common["64"]))
    }

    fn of(token: &str, objects: &BTreeMap<String, String>) -> Self {
        Self {
            token: token.to_owned(),
            atc: u16::from_str_radix(&objects["9F36"], 16).unwrap(),
            key: objects["9F10"].clone(),
            cryptogram: objects["9F26"].clone(),
        }
    }
}

/// Where the alias stands in a numeric code of the sandbox's format: behind the prefix.
const ALIAS: std::ops::Range<usize> = 2..12;

/// What is between two lives of the app: its folder, the phone's hardware, and what has ever left the phone.
pub(crate) struct Phone {
    /// Holds every folder of this phone's courses of events; gone with the last of them.
    folders: Arc<TempDir>,
    pub(crate) data: PathBuf,
    pub(crate) anchor: Arc<Anchor>,
    pub(crate) paid: Vec<Paid>,
    /// Aliases of the codes that anybody has seen, one for each showing.
    pub(crate) aliases: Vec<String>,
    /// ATCs of payments that the wallet has said to be in its journal.
    pub(crate) journalled: Vec<u16>,
    /// How many payments its one card was given keys for, where that is known.
    pub(crate) given: Option<usize>,
    /// How many aliases it was given at the most, where that is known.
    pub(crate) stocked: Option<usize>,
    /// The cut way to its provider, where it has one: held, so that nobody else is ever found at that address.
    pub(crate) relay: Option<Arc<Relay>>,
}

impl Phone {
    /// One out of the box.
    pub(crate) fn new() -> Self {
        let folders = Arc::new(tempfile::tempdir().unwrap());
        Self {
            data: fresh(&folders),
            folders,
            anchor: Arc::default(),
            paid: Vec::new(),
            aliases: Vec::new(),
            journalled: Vec::new(),
            given: None,
            stocked: None,
            relay: None,
        }
    }

    /// Another course of events from here.
    pub(crate) fn fork(&self) -> Self {
        let data = fresh(&self.folders);
        copy_folder(&self.data, &data);
        Self {
            data,
            anchor: self.anchor.fork(),
            ..self.at(self.data.clone())
        }
    }

    /// The same hardware with another folder.
    pub(crate) fn at(&self, data: PathBuf) -> Self {
        Self {
            folders: Arc::clone(&self.folders),
            data,
            anchor: Arc::clone(&self.anchor),
            paid: self.paid.clone(),
            aliases: self.aliases.clone(),
            journalled: self.journalled.clone(),
            given: self.given,
            stocked: self.stocked,
            relay: self.relay.clone(),
        }
    }

    /// An empty folder that goes with the phone.
    pub(crate) fn fresh_folder(&self) -> PathBuf {
        fresh(&self.folders)
    }

    /// Starts the app's process; no file is touched yet.
    pub(crate) fn live(&self) -> Life {
        let disk = Disk::at(&self.data);
        let hardware = Arc::new(Hardware::new(Arc::clone(&self.anchor), Arc::clone(&disk)));
        let config = WalletConfig {
            data_dir: self.data.to_str().unwrap().into(),
            app_version: env!("CARGO_PKG_VERSION").into(),
            production: false,
        };
        let clock = Arc::new(SystemClock::begin());
        let wallet = Wallet::new(config, Arc::clone(&hardware) as _, Arc::clone(&clock) as _);
        let wallet = wallet.unwrap();
        let told = Arc::new(Told::default());
        wallet.set_observer(Arc::clone(&told) as _);
        Life {
            wallet,
            disk,
            hardware,
            clock,
            told,
            paid: Mutex::default(),
            presented: Mutex::default(),
            aliases: Mutex::default(),
            taps: AtomicU64::new(self.paid.len() as u64),
        }
    }

    /// Does something in a life of its own that ends well.
    #[track_caller]
    pub(crate) fn lives<T>(&mut self, work: impl FnOnce(&Life) -> T) -> T {
        let life = self.live();
        let done = work(&life);
        wait(life.wallet.shut_down()).unwrap();
        let folder = fresh(&self.folders);
        *self = life.ends(self, Loss::Nothing, folder);
        done
    }

    /// A database of the folder, past the wallet.
    pub(crate) fn database(&self, name: &str) -> Connection {
        Connection::open(self.data.join(name)).unwrap()
    }

    /// The one value that a question to a database has.
    pub(crate) fn ask<T: rusqlite::types::FromSql>(&self, name: &str, sql: &str) -> T {
        let answer = self.database(name).query_row(sql, [], |row| row.get(0));
        answer.unwrap_or_else(|why| panic!("{sql}: {why}"))
    }
}

fn fresh(folders: &TempDir) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = folders.path().join(number.to_string());
    std::fs::create_dir(&folder).unwrap();
    folder
}

/// One life of the app's process.
pub(crate) struct Life {
    pub(crate) wallet: Arc<Wallet>,
    pub(crate) disk: Arc<Disk>,
    pub(crate) hardware: Arc<Hardware>,
    pub(crate) clock: Arc<SystemClock>,
    told: Arc<Told>,
    paid: Mutex<Vec<Paid>>,
    /// Cryptograms that were on the screen; what the issuer does not know of them is in no statement.
    presented: Mutex<Vec<Paid>>,
    aliases: Mutex<Vec<String>>,
    taps: AtomicU64,
}

impl Life {
    pub(crate) fn open(&self) -> Result<(), WalletError> {
        wait(self.wallet.open())
    }

    pub(crate) fn start(&self) -> Result<u32, WalletError> {
        wait(self.wallet.start()).map(|status| status.taps_left)
    }

    pub(crate) fn statement(&self) -> Result<Vec<StatementEntry>, WalletError> {
        wait(self.wallet.statement())
    }

    /// What the card answers, at once: this phone has no responder. A cryptogram in it has left the phone.
    pub(crate) fn apdu(&self, command: &[u8]) -> Vec<u8> {
        let answer = match self.wallet.process_apdu(command.to_vec()) {
            Answer::Now { bytes } => bytes,
            Answer::Later => panic!("nobody is there to take an answer later"),
        };
        if answer.first() == Some(&0x77) {
            let paid = Paid::read(&answer);
            let mut left = self.paid.lock().unwrap();
            // The same command again gets the same answer; that is no second cryptogram.
            if left.last() != Some(&paid) {
                left.push(paid);
            }
        }
        answer
    }

    /// One stay in a reader's field, with one payment that is read to the end: what has left, or the status word that
    /// refused it.
    pub(crate) fn tap(&self) -> Result<Paid, u16> {
        // Another unpredictable number each time, or the same answer would be due.
        let number = self.taps.fetch_add(1, Ordering::Relaxed) + 1;
        let tapped = self.tap_under(u32::try_from(number).unwrap());
        self.wallet.deactivated();
        tapped
    }

    /// The same, with patience: between two blocks a reader is refused until the next one is armed.
    pub(crate) fn pays(&self) -> Result<Paid, u16> {
        self.tap().or_else(|refused| {
            self.start().map_err(|_| refused)?;
            self.tap()
        })
    }

    fn tap_under(&self, number: u32) -> Result<Paid, u16> {
        self.command(&hex::decode(SELECT).unwrap())?;
        let paid = Paid::read(&self.command(&gpo(number))?);
        self.command(&hex::decode(RECORDS[1]).unwrap())?;
        Ok(paid)
    }

    /// Shows a code, which stays on the screen until the next one: what a shop would scan.
    pub(crate) fn show(&self, kind: CodeKind) -> Result<String, WalletError> {
        let view = wait(self.wallet.show_code(kind, None, None))?;
        let code = self.look(&view);
        view.detach();
        if kind == CodeKind::Numeric {
            self.aliases.lock().unwrap().push(code[ALIAS].to_owned());
        }
        Ok(code)
    }

    /// What a shop would scan at this moment. A cryptogram in it has left the phone.
    pub(crate) fn look(&self, view: &CodeView) -> String {
        let shown = view.now();
        assert_eq!(shown.state, CodeState::Showing, "it cannot be scanned");
        if shown.kind == CodeKind::ConsumerPresented {
            let paid = Paid::presented(&shown.code);
            let mut left = self.presented.lock().unwrap();
            // A step of time has one code, however often it is looked at.
            if left.last() != Some(&paid) {
                left.push(paid);
            }
        }
        shown.code
    }

    fn command(&self, command: &[u8]) -> Result<Vec<u8>, u16> {
        let answer = self.apdu(command);
        match status(&answer) {
            0x9000 => Ok(answer),
            refused => Err(refused),
        }
    }

    /// Waits until the wallet has told of this many taps, or cannot any more.
    pub(crate) fn told(&self, taps: usize) -> bool {
        self.told
            .wait(taps, || self.disk.is_dead() || self.disk.hit().is_some())
    }

    /// The process ends as by a kill, with this loss of the disk's: nothing of it reaches what follows. What it has
    /// acknowledged is remembered.
    pub(crate) fn ends(&self, phone: &Phone, loss: Loss, into: PathBuf) -> Phone {
        self.hardware.die();
        self.disk.revive(loss, &into);
        let mut after = phone.at(into);
        after.anchor = phone.anchor.fork();
        for left in [&self.paid, &self.presented] {
            after.paid.extend(left.lock().unwrap().iter().cloned());
        }
        let aliases = self.aliases.lock().unwrap();
        after.aliases.extend(aliases.iter().cloned());
        after.journalled.extend(self.told.atcs());
        after
    }

    /// Cryptograms that have left to readers in this life.
    pub(crate) fn paid(&self) -> Vec<Paid> {
        self.paid.lock().unwrap().clone()
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.hardware.die();
        self.disk.cut();
    }
}

/// What the wallet has told of taps: those are in the journal.
#[derive(Default)]
struct Told {
    atcs: Mutex<Vec<u16>>,
    news: Condvar,
}

impl Told {
    fn atcs(&self) -> Vec<u16> {
        self.atcs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn wait(&self, taps: usize, in_vain: impl Fn() -> bool) -> bool {
        let until = Instant::now() + PATIENCE;
        let mut atcs = self.atcs.lock().unwrap();
        while atcs.len() < taps {
            if in_vain() {
                return false;
            }
            assert!(Instant::now() < until, "taps are not told of");
            // The disk does not say when it dies, so it is asked now and then.
            let pause = Duration::from_millis(5);
            atcs = self.news.wait_timeout(atcs, pause).unwrap().0;
        }
        true
    }
}

impl WalletObserver for Told {
    fn on_event(&self, event: WalletEvent) {
        if let WalletEvent::Tap { atc, .. } = event {
            let mut atcs = self.atcs.lock().unwrap_or_else(PoisonError::into_inner);
            atcs.push(u16::try_from(atc).unwrap());
            self.news.notify_all();
        }
    }
}

/// The data objects of a response message template, in hex.
fn template(answer: &[u8]) -> BTreeMap<String, String> {
    match answer {
        [0x77, 0x81, length, rest @ ..] | [0x77, length, rest @ ..] => {
            objects(&rest[..usize::from(*length)])
        }
        _ => panic!("no template 77: {}", hex::encode(answer)),
    }
}

/// Data objects one after the other, their values by their tags, in hex.
fn objects(mut rest: &[u8]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    while !rest.is_empty() {
        let name = if rest[0] & 0x1F == 0x1F { 2 } else { 1 };
        let (tag, behind) = rest.split_at(name);
        let (length, behind) = match behind {
            [0x81, length, behind @ ..] | [length, behind @ ..] => (usize::from(*length), behind),
            [] => panic!("{} has no length", hex::encode(tag)),
        };
        let (value, behind) = behind.split_at(length);
        found.insert(hex::encode_upper(tag), hex::encode_upper(value));
        rest = behind;
    }
    found
}

/// The files of a folder with their lengths, for messages.
pub(crate) fn files(folder: &Path) -> Vec<(String, u64)> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap());
    let mut files: Vec<_> = entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, entry.metadata().unwrap().len())
        })
        .collect();
    files.sort();
    files
}
