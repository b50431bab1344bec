//! The tap under the interruptions a phone has: cold starts, slow and failing key stores, callers that give up, kills.
//!
//! One rule holds in all of them: no ATC leaves twice.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::arm::secret_name;
use super::{Answer, Clock, ClockReading, Config, Responder, Wallet, WalletError};
use crate::account::AccountType;
use crate::store::{FolderLock, StoreError, StoredToken};
use crate::token::{KeyState, KeyStock, PaymentToken, TokenRef};
use crate::vault::{KeyStoreError, PlatformKeyStore, SecurityLevel, TokenState};

const PPSE: &str = "00A404000E325041592E5359532E444446303100";
const SELECT: &str = "00A4040008A00000033301010100";

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Key hardware that can be slow, and can fail from its Nth call on.
#[derive(Default)]
struct Hardware {
    keys: Mutex<HashMap<String, Vec<Vec<u8>>>>,
    calls: AtomicU64,
    fails_at: AtomicU64,
    delay_ms: AtomicU64,
}

impl Hardware {
    fn call(&self) -> Result<(), KeyStoreError> {
        std::thread::sleep(Duration::from_millis(self.delay_ms.load(Ordering::SeqCst)));
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        match self.fails_at.load(Ordering::SeqCst) {
            at if at == call => Err(KeyStoreError::Unavailable),
            _ => Ok(()),
        }
    }

    /// Makes the Nth call from now fail, once; 0 for none.
    fn fail_in(&self, calls: u64) {
        self.calls.store(0, Ordering::SeqCst);
        self.fails_at.store(calls, Ordering::SeqCst);
    }
}

impl PlatformKeyStore for Hardware {
    fn security_level(&self) -> SecurityLevel {
        SecurityLevel::Software
    }

    fn create_wrapping_key(&self, alias: &str) -> Result<(), KeyStoreError> {
        self.call()?;
        self.keys.lock().unwrap().insert(alias.into(), Vec::new());
        Ok(())
    }

    fn wrap(&self, alias: &str, key: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        self.call()?;
        let mut keys = self.keys.lock().unwrap();
        let held = keys.get_mut(alias).ok_or(KeyStoreError::NotFound)?;
        held.push(key.to_vec());
        Ok(vec![u8::try_from(held.len() - 1).unwrap()])
    }

    fn unwrap(&self, alias: &str, wrapped: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        self.call()?;
        let keys = self.keys.lock().unwrap();
        let held = keys.get(alias).ok_or(KeyStoreError::NotFound)?;
        held.get(usize::from(wrapped[0]))
            .cloned()
            .ok_or(KeyStoreError::Invalidated)
    }

    fn create_signing_key(&self, alias: &str) -> Result<Vec<u8>, KeyStoreError> {
        self.create_wrapping_key(alias)?;
        Ok(vec![4; 65])
    }

    fn sign(&self, _: &str, _: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        self.call()?;
        Ok(vec![0; 64])
    }

    fn delete(&self, alias: &str) -> Result<(), KeyStoreError> {
        self.call()?;
        self.keys.lock().unwrap().remove(alias);
        Ok(())
    }

    fn aliases(&self) -> Result<Vec<String>, KeyStoreError> {
        self.call()?;
        Ok(self.keys.lock().unwrap().keys().cloned().collect())
    }
}

struct NoonOfOneDay;

impl Clock for NoonOfOneDay {
    fn now(&self) -> ClockReading {
        ClockReading {
            wall_ms: 1_795_348_800_000,
            boot_id: "boot".into(),
            since_boot_ms: 1,
        }
    }
}

struct Reader(Mutex<Sender<Vec<u8>>>);

impl Responder for Reader {
    fn respond(&self, answer: Vec<u8>) {
        self.0.lock().unwrap().send(answer).unwrap();
    }
}

/// A phone whose app can be started again and again on the same folder and hardware.
struct Phone {
    folder: tempfile::TempDir,
    hardware: Arc<Hardware>,
}

/// One life of the app's process.
struct Life {
    runtime: Runtime,
    wallet: Arc<Wallet>,
    answers: Receiver<Vec<u8>>,
}

impl Phone {
    /// A phone with a card of 1,000 payments, no provider in reach.
    fn new() -> Self {
        let phone = Self {
            folder: tempfile::tempdir().unwrap(),
            hardware: Arc::default(),
        };
        let life = phone.live();
        life.runtime.block_on(life.wallet.open()).unwrap();
        let opened = life.wallet.opened().unwrap();
        let reference = TokenRef::new("tok_1");
        let mut arming = opened.arming().unwrap();
        let key = KeyState {
            index: "6570201".to_owned().try_into().unwrap(),
            uses_left: 1_000,
            not_after_ms: i64::MAX,
        };
        let name = secret_name(&key.index);
        let sealed = arming
            .seal_secret(&reference, &name, b"0123456789ABCDEF")
            .unwrap();
        let mut keys = KeyStock::default();
        keys.add([key]);
        let state = TokenState {
            next_atc: 1,
            keys,
            logged_through: 0,
        };
        arming.state_mut().tokens.insert(reference.clone(), state);
        let record = arming.record().unwrap();
        let stored = StoredToken {
            token: PaymentToken {
                reference: reference.clone(),
                masked_number: "62".into(),
                masked_card: "…0015".into(),
                bank: "bank-a".into(),
                account_type: AccountType::BankCard,
                expiry: "2099-12-31".into(),
            },
            profile: include_str!("../../tests/fixtures/quickpass.json").into(),
        };
        let written: Result<(), StoreError> = opened.vault.write(|tx| {
            tx.add_token(&stored)?;
            tx.add_secret(&reference, &name, &sealed)?;
            tx.set_arming(&record)
        });
        written.unwrap();
        drop(opened);
        life.runtime.block_on(life.wallet.close()).unwrap();
        phone
    }

    fn live(&self) -> Life {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let hardware: Arc<dyn PlatformKeyStore> = self.hardware.clone();
        let wallet = Wallet::new(
            config(self.folder.path()),
            hardware,
            Arc::new(NoonOfOneDay),
            runtime.handle().clone(),
        );
        let wallet = wallet.unwrap();
        let (sender, answers) = channel();
        wallet.set_responder(Arc::new(Reader(Mutex::new(sender))));
        Life {
            runtime,
            wallet,
            answers,
        }
    }
}

fn config(folder: &Path) -> Config {
    Config {
        folder: folder.to_owned(),
        app_version: "0".into(),
        production: false,
    }
}

impl Life {
    /// What the reader gets, sooner or later.
    fn send(&self, apdu: &str) -> Vec<u8> {
        match self.wallet.process_apdu(hex::decode(apdu).unwrap()) {
            Answer::Now(bytes) => bytes,
            Answer::Later => self.answers.recv_timeout(PATIENCE).unwrap(),
        }
    }

    /// One stay in the field with one payment: its ATC, or the status word that refused it.
    fn pay(&self, number: u32) -> Result<u16, u16> {
        self.wallet.deactivated();
        status(&self.send(SELECT))?;
        let gpo = format!(
            "80A8000037833566800000000000001250000000000000015600000000000156261122 00{number:08X}{}00",
            "20".repeat(20)
        );
        let answer = self.send(&gpo.replace(' ', ""));
        status(&answer)?;
        let at = answer
            .windows(3)
            .position(|window| window == [0x9F, 0x36, 0x02])
            .unwrap();
        Ok(u16::from_be_bytes([answer[at + 3], answer[at + 4]]))
    }

    /// The process is killed: nothing is closed, what was not written is gone.
    fn kill(self, phone: &Phone) {
        self.runtime.shutdown_background();
        drop(self.wallet);
        // The system frees the folder with the process; here, with the last work that was under way.
        let deadline = Instant::now() + PATIENCE;
        while FolderLock::take(phone.folder.path()).is_err() {
            assert!(Instant::now() < deadline, "the folder is never freed");
            std::thread::yield_now();
        }
    }
}

fn status(answer: &[u8]) -> Result<(), u16> {
    match answer {
        [.., 0x90, 0x00] => Ok(()),
        [.., high, low] => Err(u16::from_be_bytes([*high, *low])),
        _ => panic!("an answer without a status word"),
    }
}

#[track_caller]
fn all_different(atcs: &[u16]) {
    assert_eq!(BTreeSet::from_iter(atcs).len(), atcs.len(), "{atcs:?}");
}

#[test]
fn a_tap_may_start_the_app() {
    let phone = Phone::new();
    let life = phone.live();
    let asked = life.wallet.process_apdu(hex::decode(PPSE).unwrap());
    assert_eq!(asked, Answer::Later);
    let mut answer = life.answers.recv_timeout(PATIENCE).unwrap();
    // On a busy machine the patience of a reader may end first; it tries again, and the work has gone on meanwhile.
    let deadline = Instant::now() + PATIENCE;
    while status(&answer) == Err(0x6985) && Instant::now() < deadline {
        answer = life.send(PPSE);
    }
    assert_eq!(status(&answer), Ok(()));
    life.runtime.block_on(life.wallet.start()).unwrap();
    assert_eq!(life.pay(1), Ok(1));
    life.runtime.block_on(life.wallet.close()).unwrap();
    let refused = life.wallet.process_apdu(hex::decode(PPSE).unwrap());
    assert_eq!(
        refused,
        Answer::Now(vec![0x69, 0x85]),
        "a wallet that was shut down stays shut"
    );
}

#[test]
fn a_slow_key_store_makes_readers_wait_and_never_repeats_a_counter() {
    let phone = Phone::new();
    phone.hardware.delay_ms.store(120, Ordering::SeqCst);
    let life = phone.live();
    // The first answers come too late for the reader; armings whose callers gave up go on behind them.
    let mut atcs = Vec::new();
    for number in 0..12 {
        atcs.extend(life.pay(number));
    }
    phone.hardware.delay_ms.store(0, Ordering::SeqCst);
    life.runtime.block_on(life.wallet.start()).unwrap();
    atcs.extend((100..110).filter_map(|number| life.pay(number).ok()));
    assert!(atcs.len() >= 4, "{atcs:?}");
    all_different(&atcs);
    life.runtime.block_on(life.wallet.close()).unwrap();
    let life = phone.live();
    life.runtime.block_on(life.wallet.start()).unwrap();
    let again = life.pay(200).unwrap();
    assert!(!atcs.contains(&again), "{again} in {atcs:?}");
}

#[test]
fn callers_that_give_up_leave_one_arming_at_a_time() {
    let phone = Phone::new();
    let life = phone.live();
    life.runtime.block_on(life.wallet.open()).unwrap();
    phone.hardware.delay_ms.store(15, Ordering::SeqCst);
    for _ in 0..10 {
        life.runtime.block_on(async {
            let _ = tokio::time::timeout(Duration::from_millis(20), life.wallet.start()).await;
        });
    }
    phone.hardware.delay_ms.store(0, Ordering::SeqCst);
    let atcs: Vec<u16> = (0..30).filter_map(|number| life.pay(number).ok()).collect();
    assert!(!atcs.is_empty());
    all_different(&atcs);
    life.runtime.block_on(life.wallet.close()).unwrap();
    let life = phone.live();
    life.runtime.block_on(life.wallet.start()).unwrap();
    assert!(
        life.pay(100).is_ok(),
        "the record in force names a key that is there"
    );
}

/// Fails each call to the key store in turn, at start, between taps and at the end, then looks what the next process finds.
#[test]
fn whichever_call_to_the_key_store_fails_no_counter_is_repeated_and_the_wallet_opens() {
    let phone = Phone::new();
    let mut atcs = Vec::new();
    for failing in 1..40 {
        phone.hardware.fail_in(failing);
        let life = phone.live();
        let started = life.runtime.block_on(life.wallet.start());
        if let Err(error) = started {
            assert!(matches!(error, WalletError::Vault(_)), "{failing}: {error}");
        }
        atcs.extend((0..6).filter_map(|number| life.pay(failing as u32 * 100 + number).ok()));
        drop(life.runtime.block_on(life.wallet.close()));
        phone.hardware.fail_in(0);
        let life = phone.live();
        life.runtime.block_on(life.wallet.start()).unwrap();
        atcs.push(life.pay(failing as u32 * 100 + 50).unwrap());
        life.runtime.block_on(life.wallet.close()).unwrap();
    }
    all_different(&atcs);
}

#[test]
fn what_a_killed_process_had_reserved_is_burnt() {
    let phone = Phone::new();
    let mut atcs = Vec::new();
    for number in 0..5 {
        let life = phone.live();
        life.runtime.block_on(life.wallet.start()).unwrap();
        atcs.push(life.pay(number).unwrap());
        life.kill(&phone);
    }
    all_different(&atcs);
    assert!(atcs.is_sorted());
}

#[test]
fn taps_are_in_the_statement_when_the_wallet_has_shut_down() {
    let phone = Phone::new();
    let life = phone.live();
    life.runtime.block_on(life.wallet.start()).unwrap();
    let atcs: Vec<u16> = (0..3).filter_map(|number| life.pay(number).ok()).collect();
    status(&life.send("00B2020C00")).unwrap();
    life.runtime.block_on(life.wallet.close()).unwrap();
    let life = phone.live();
    life.runtime.block_on(life.wallet.open()).unwrap();
    let lines = life.runtime.block_on(life.wallet.statement()).unwrap();
    let mut shown: Vec<u16> = lines.iter().map(|line| line.atc).collect();
    shown.sort_unstable();
    assert_eq!(shown, atcs);
    let states: Vec<_> = lines.iter().map(|line| line.state).collect();
    use crate::statement::EntryState::{Incomplete, Pending};
    assert_eq!(states, [Pending, Incomplete, Incomplete]);
}
