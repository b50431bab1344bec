//! The tap through a whole wallet: its lock, its clock, what it wipes and hands over, the disk it must not wait for, and
//! a tap that starts the app.
//!
//! What needs a process of its own runs this program again with `--child NAME FOLDER` ([`child`]).

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tapcore::wallet::{Answer, Config, Responder, Wallet};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::Bench;
use crate::armed::{self, ONLINE, ONLINE_RECORDS, PPSE, SELECT};
use crate::installed::{StandingClock, add_card, set_up};
use crate::kept::KeptKeyStore;
use crate::measure::{Reading, calls, prepared};
use crate::tap::{Answers, Bare};
use crate::vault::bare_connections;

pub(crate) const BENCHES: &[Bench] = &[
    Bench {
        name: "tap.wallet",
        run: through_the_wallet,
    },
    Bench {
        name: "tap.cold_start",
        run: cold_start,
    },
    Bench {
        name: "tap.fsyncs",
        run: syncs,
    },
];

/// The keys of a phone whose app is started again and again.
const KEYS: &str = "keys.txt";
/// Far longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A wallet with a card, in this folder.
fn install(folder: &Path) {
    let keys = Arc::new(KeptKeyStore::at(&folder.join(KEYS)));
    set_up(folder, &keys);
    add_card(folder, &keys);
}

fn wallet(folder: &Path, runtime: &Handle) -> Arc<Wallet> {
    let config = Config {
        folder: folder.to_owned(),
        app_version: "0".into(),
        production: false,
    };
    let keys = KeptKeyStore::at(&folder.join(KEYS));
    Wallet::new(
        config,
        Arc::new(keys),
        Arc::new(StandingClock),
        runtime.clone(),
    )
    .unwrap()
}

/// The answer of a wallet that is armed.
fn now(wallet: &Arc<Wallet>, apdu: &[u8]) -> Vec<u8> {
    match wallet.process_apdu(apdu.to_vec()) {
        Answer::Now(bytes) => bytes,
        Answer::Later => panic!("the wallet is not armed"),
    }
}

/// A whole payment: one call for each command.
fn pay(wallet: &Arc<Wallet>, unpredictable: u32) -> Answers {
    [
        now(wallet, PPSE),
        now(wallet, SELECT),
        now(wallet, &armed::gpo(ONLINE, unpredictable)),
        now(wallet, &ONLINE_RECORDS[0]),
        now(wallet, &ONLINE_RECORDS[1]),
    ]
}

fn is_well(answers: &Answers) -> bool {
    answers.iter().all(|answer| answer.ends_with(&[0x90, 0x00]))
}

fn workers() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

/// A payment by the wallet that is open and armed. Floor: the bare cryptogram, and the answers' bytes moved.
fn through_the_wallet() -> Reading {
    let folder = tempfile::tempdir().unwrap();
    install(folder.path());
    let runtime = workers();
    let wallet = wallet(folder.path(), runtime.handle());
    runtime.block_on(wallet.start()).unwrap();
    let bare = Bare::of(pay(&wallet, 1), ONLINE, [0, 0], 1);
    let mut unpredictable = 1;
    let reading = prepared(
        200,
        || {
            // What the payment before left to do is done when the wallet is closed.
            runtime.block_on(wallet.close()).unwrap();
            drop(runtime.block_on(wallet.start()).unwrap());
        },
        || {
            unpredictable += 1;
            let answers = pay(&wallet, unpredictable);
            assert!(is_well(&answers));
            answers
        },
        || bare.whole(),
    );
    runtime.block_on(wallet.close()).unwrap();
    reading
}

/// From the start of a process to the cryptogram that its first tap asked for: opening, arming with a durable block of
/// counters, three answers. Floor: from the start of a process to the first row of both databases.
fn cold_start() -> Reading {
    let (ours, floor) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    install(ours.path());
    for name in ["vault.db", "statement.db"] {
        fs::copy(ours.path().join(name), floor.path().join(name)).unwrap();
    }
    calls(
        60,
        || start("cold_start", ours.path()),
        || start("bare_opens", floor.path()),
    )
}

/// Syncs of the disk by the thread that answers, over twenty payments. There must be none.
fn syncs() -> Reading {
    let folder = tempfile::tempdir().unwrap();
    install(folder.path());
    let mut counting = start("syncs", folder.path());
    let mut rest = String::new();
    let mut out = counting.0.stdout.take().unwrap();
    out.read_to_string(&mut rest).unwrap();
    let count: u32 = rest.trim().parse().unwrap();
    Reading::count("syncs", f64::from(count), None)
}

/// A process of this program; waited for when it is dropped.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let ended = self.0.wait().unwrap();
        assert!(ended.success() || std::thread::panicking(), "{ended}");
    }
}

/// Starts this program again and waits until it says the first byte.
fn start(name: &str, folder: &Path) -> Started {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--child", name])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = child.stdout.as_mut().unwrap();
    out.read_exact(&mut [0]).unwrap();
    Started(child)
}

/// What the program does when it was started by [`start`].
pub(crate) fn child(name: &str, folder: &Path) {
    match name {
        "cold_start" => first_cryptogram(folder),
        "bare_opens" => drop(bare_connections(folder)),
        "syncs" => {
            say("\n");
            say(&count_syncs(folder).to_string());
            return;
        }
        _ => panic!("no child is called {name}"),
    }
    say("\n");
    // What is open is closed by nobody: a phone's processes are killed.
    std::process::exit(0);
}

fn say(text: &str) {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes()).unwrap();
    out.flush().unwrap();
}

struct Reader(Mutex<Sender<Vec<u8>>>);

impl Responder for Reader {
    fn respond(&self, answer: Vec<u8>) {
        self.0.lock().unwrap().send(answer).unwrap();
    }
}

/// The tap that starts the app: nothing is open before its first command.
fn first_cryptogram(folder: &Path) {
    let runtime = workers();
    let wallet = wallet(folder, runtime.handle());
    let (sender, answers) = channel();
    wallet.set_responder(Arc::new(Reader(Mutex::new(sender))));
    let mut last = Vec::new();
    for command in [PPSE, SELECT, &armed::gpo(ONLINE, 1)] {
        last = match wallet.process_apdu(command.to_vec()) {
            Answer::Now(bytes) => bytes,
            Answer::Later => answers.recv_timeout(PATIENCE).unwrap(),
        };
    }
    assert!(armed::value(&last, [0x9F, 0x26]).is_some(), "{last:?}");
    // Not dropped: that would wait for what is still to be written.
    std::mem::forget((runtime, wallet));
}

/// Counts what the thread that answers syncs. Work in the background cannot be mistaken for it: the runtime has no
/// thread of its own and stands still while the reader asks.
fn count_syncs(folder: &Path) -> u64 {
    let disk = fault_vfs::Disk::at(folder);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let wallet = wallet(folder, runtime.handle());
    let mut during = 0;
    for unpredictable in 0..20 {
        drop(runtime.block_on(wallet.start()).unwrap());
        let before = disk.counts().syncs;
        assert!(is_well(&pay(&wallet, unpredictable)));
        during += disk.counts().syncs - before;
        runtime.block_on(wallet.close()).unwrap();
    }
    assert!(disk.counts().syncs > 0, "the disk counts nothing");
    during
}
