//! A phone for tests: a clock that can be set, a card, and lives of its app.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::hardware::Hardware;
use crate::account::AccountType;
use crate::backend::protocol::{EnrolmentAnswer, NetworkKeys, Policy};
use crate::emv::verification::Tally;
use crate::store::{FolderLock, StoredToken};
use crate::token::{
    KeyIndex, KeyLimits, KeyState, KeyStock, PaymentToken, Spent, TokenLife, TokenRef,
};
use crate::vault::{PlatformKeyStore, TokenState};
use crate::wallet::arm::{SECRET_ODA, retire_older, secret_name, verified_name};
use crate::wallet::enrol::{self, Enrolment};
use crate::wallet::person::person_in;
use crate::wallet::{Answer, Clock, ClockReading, Config, Responder, Wallet, WalletError};

pub(super) const PPSE: &str = "00A404000E325041592E5359532E444446303100";
pub(super) const SELECT: &str = "00A4040008A00000033301010100";

/// Noon of one day, milliseconds of Unix time.
pub(super) const NOON_MS: i64 = 1_795_348_800_000;

/// When the card's key ends.
pub(super) const KEY_ENDS_MS: i64 = NOON_MS + 30 * 86_400_000;

/// How long a test waits for what must come.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Clocks that stand still until a test moves them.
pub(super) struct Clocks {
    pub(super) wall_ms: AtomicI64,
    pub(super) boot: AtomicU64,
    pub(super) since_boot_ms: AtomicI64,
}

impl Default for Clocks {
    fn default() -> Self {
        Self {
            wall_ms: AtomicI64::new(NOON_MS),
            boot: AtomicU64::new(1),
            since_boot_ms: AtomicI64::new(1_000),
        }
    }
}

impl Clocks {
    /// Time passes, for both clocks.
    pub(super) fn pass(&self, ms: i64) {
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
        self.since_boot_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Somebody sets the wall clock.
    pub(super) fn set(&self, wall_ms: i64) {
        self.wall_ms.store(wall_ms, Ordering::SeqCst);
    }

    /// The phone is started again.
    pub(super) fn reboot(&self) {
        self.boot.fetch_add(1, Ordering::SeqCst);
        self.since_boot_ms.store(0, Ordering::SeqCst);
    }
}

impl Clock for Clocks {
    fn now(&self) -> ClockReading {
        ClockReading {
            wall_ms: self.wall_ms.load(Ordering::SeqCst),
            boot_id: format!("boot {}", self.boot.load(Ordering::SeqCst)),
            since_boot_ms: self.since_boot_ms.load(Ordering::SeqCst),
        }
    }
}

pub(super) struct Reader(Mutex<Sender<Vec<u8>>>);

impl Responder for Reader {
    fn respond(&self, answer: Vec<u8>) {
        self.0.lock().unwrap().send(answer).unwrap();
    }
}

/// A phone whose app can be started again and again on the same folder and hardware.
pub(super) struct Phone {
    folder: PathBuf,
    _temporary: Option<tempfile::TempDir>,
    key_store: Arc<dyn PlatformKeyStore>,
    /// What plays the key hardware, unless the test brought its own.
    pub(super) hardware: Arc<Hardware>,
    pub(super) clocks: Arc<Clocks>,
}

/// What a phone is made of.
pub(super) struct PhoneKeys<'a> {
    /// Key hardware other than [`Hardware`].
    pub(super) key_store: Option<Arc<dyn PlatformKeyStore>>,
    /// The card's limited-use key, 16 bytes.
    pub(super) luk: &'a [u8],
    /// The card's RSA key as it is provisioned, where it signs.
    pub(super) oda: Option<&'a [u8]>,
    /// How far its counter has come.
    pub(super) next_atc: u32,
    /// A folder other than a temporary one.
    pub(super) folder: Option<PathBuf>,
}

/// One life of the app's process.
pub(super) struct Life {
    pub(super) runtime: Runtime,
    pub(super) wallet: Arc<Wallet>,
    pub(super) answers: Receiver<Vec<u8>>,
}

impl Phone {
    /// A phone with a card of 1,000 payments, no provider in reach.
    pub(super) fn new() -> Self {
        Self::with_next_atc(1)
    }

    /// As [`new`](Self::new), with a counter that has come so far.
    pub(super) fn with_next_atc(next_atc: u32) -> Self {
        Self::with(PhoneKeys {
            key_store: None,
            luk: b"0123456789ABCDEF",
            oda: None,
            next_atc,
            folder: None,
        })
    }

    /// A phone without a wallet.
    pub(super) fn empty() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let hardware: Arc<Hardware> = Arc::default();
        Self {
            folder: temporary.path().to_owned(),
            _temporary: Some(temporary),
            key_store: hardware.clone(),
            hardware,
            clocks: Arc::default(),
        }
    }

    /// A phone with these keys.
    pub(super) fn with(keys: PhoneKeys<'_>) -> Self {
        let PhoneKeys {
            key_store,
            luk,
            oda,
            next_atc,
            folder,
        } = keys;
        let temporary = folder.is_none().then(|| tempfile::tempdir().unwrap());
        let hardware: Arc<Hardware> = Arc::default();
        let phone = Self {
            folder: folder
                .or(temporary.as_ref().map(|folder| folder.path().to_owned()))
                .unwrap(),
            _temporary: temporary,
            key_store: key_store.unwrap_or_else(|| hardware.clone()),
            hardware,
            clocks: Arc::default(),
        };
        let life = phone.live();
        life.run(life.wallet.open()).unwrap();
        life.give_card(TokenRef::new("tok_1"), luk, oda, next_atc, 1_000);
        // Done here on the test's own thread, which the wallet never does.
        crate::secret::wipe_stack();
        life.run(life.wallet.close()).unwrap();
        phone
    }

    /// Where the wallet's files are.
    pub(super) fn path(&self) -> &Path {
        &self.folder
    }

    pub(super) fn live(&self) -> Life {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let wallet = Wallet::new(
            config(&self.folder),
            self.key_store.clone(),
            self.clocks.clone(),
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
    /// Runs a use case to its end.
    pub(super) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// What the reader gets, sooner or later.
    pub(super) fn send(&self, apdu: &str) -> Vec<u8> {
        match self.wallet.process_apdu(hex::decode(apdu).unwrap()) {
            Answer::Now(bytes) => bytes,
            Answer::Later => self.answers.recv_timeout(PATIENCE).unwrap(),
        }
    }

    /// One stay in the field with one payment: its ATC, or the status word that refused it.
    pub(super) fn pay(&self, number: u32) -> Result<u16, u16> {
        self.pay_by("66800000", number)
    }

    /// The same with a reader that says so of itself (tag 9F66).
    pub(super) fn pay_by(&self, reader: &str, number: u32) -> Result<u16, u16> {
        let told = gpo(number, 1250).replacen("66800000", reader, 1);
        self.pay_told(&told).map(|paid| paid.atc)
    }

    /// As [`pay`](Self::pay), with an amount in fen.
    pub(super) fn pay_amount(&self, number: u32, minor: u32) -> Result<Paid, u16> {
        self.pay_told(&gpo(number, minor))
    }

    fn pay_told(&self, gpo: &str) -> Result<Paid, u16> {
        self.wallet.deactivated();
        status(&self.send(SELECT))?;
        let answer = self.send(gpo);
        status(&answer)?;
        let value = |tag: [u8; 3]| {
            let at = answer.windows(3).position(|window| window == tag);
            answer[at.unwrap() + 3..].to_vec()
        };
        let atc = value([0x9F, 0x36, 0x02]);
        Ok(Paid {
            atc: u16::from_be_bytes([atc[0], atc[1]]),
            iad: value([0x9F, 0x10, 0x0C])[..12].to_vec(),
            cryptogram: value([0x9F, 0x26, 0x08])[..8].to_vec(),
            ctq: value([0x9F, 0x6C, 0x02])[..2].to_vec(),
        })
    }

    /// A card with one key, as the network would have provisioned it.
    pub(super) fn give_card(
        &self,
        reference: TokenRef,
        luk: &[u8],
        oda: Option<&[u8]>,
        next_atc: u32,
        uses: u32,
    ) {
        let opened = self.wallet.opened().unwrap();
        let mut arming = opened.arming().unwrap();
        let key = KeyState {
            index: "6570201".to_owned().try_into().unwrap(),
            uses_left: uses,
            not_after_ms: KEY_ENDS_MS,
            verified: false,
            limits: None,
            spent: Spent::default(),
            wiped: false,
        };
        let name = secret_name(&key.index);
        let seal = |name: &str, plain| arming.seal_secret(&reference, name, plain).unwrap();
        let mut secrets = vec![(name.clone(), seal(&name, luk))];
        secrets.extend(oda.map(|oda| (SECRET_ODA.to_owned(), seal(SECRET_ODA, oda))));
        let mut keys = KeyStock::default();
        keys.add([key]);
        let state = TokenState {
            next_atc,
            keys,
            logged_through: 0,
            noted_through: 0,
            tally: Tally::default(),
        };
        arming.state_mut().tokens.insert(reference.clone(), state);
        let stored = StoredToken {
            token: PaymentToken {
                reference: reference.clone(),
                masked_number: "62".into(),
                masked_card: "…0015".into(),
                bank: "bank-a".into(),
                account_type: AccountType::BankCard,
                expiry: "2099-12-31".into(),
                scheme: "unionpay".into(),
                home: None,
            },
            profile: include_str!("../../../tests/fixtures/quickpass.json").into(),
            state: TokenLife::Active,
            told: true,
        };
        let ((), record) = opened
            .commit(arming, |tx| {
                tx.add_token(&stored)?;
                for (name, sealed) in &secrets {
                    tx.add_secret(&reference, name, sealed)?;
                }
                Ok::<_, WalletError>(())
            })
            .unwrap();
        retire_older(&opened, &record).unwrap();
    }

    /// The provider's policy, as enrolment would have brought it.
    pub(super) fn configure(&self, policy: Policy) {
        let enrolment = Enrolment {
            provider_url: "https://127.0.0.1:1".into(),
            ca_pem: String::new(),
            answer: EnrolmentAnswer {
                device_id: "dev_1".into(),
                user_id: "usr_1".into(),
                pins: Vec::new(),
                network: NetworkKeys {
                    signing_key: String::new(),
                    hpke_key: String::new(),
                },
                policy: Policy::default(),
            },
        };
        let set = self.wallet.with_keys(move |wallet, opened| {
            let ((), record) = opened.commit(opened.arming()?, |tx| {
                Ok(tx.set_guarded(enrol::RECORD, Some(&enrolment))?)
            })?;
            retire_older(opened, &record)?;
            wallet.set_policy(opened, policy)
        });
        self.run(set).unwrap();
    }

    /// Keys for payments with the person verified, as a replenishment would have brought them.
    pub(super) fn give_verified_keys(&self, count: u32, limits: Option<KeyLimits>, uses: u32) {
        let token = TokenRef::new("tok_1");
        let given = self.wallet.with_keys(move |_, opened| {
            let person = person_in(opened)?.ok_or(WalletError::NoPerson)?;
            let mut arming = opened.arming()?;
            let mut secrets = Vec::new();
            for number in 0..count {
                let index: KeyIndex = format!("65703{number:02}").try_into().unwrap();
                let key = [u8::try_from(number).unwrap() + 1; 16];
                let sealed = person.public.seal_payment_key(&token, &index, &key)?;
                let sealed = serde_json::to_vec(&sealed).unwrap();
                let name = verified_name(&index);
                secrets.push((name.clone(), arming.seal_secret(&token, &name, &sealed)?));
                let state = arming.state_mut().tokens.get_mut(&token).unwrap();
                state.keys.add([KeyState {
                    index,
                    uses_left: uses,
                    not_after_ms: KEY_ENDS_MS,
                    verified: true,
                    limits,
                    spent: Spent::default(),
                    wiped: false,
                }]);
            }
            let ((), record) = opened.commit(arming, |tx| {
                for (name, sealed) in &secrets {
                    tx.add_secret(&token, name, sealed)?;
                }
                Ok(())
            })?;
            retire_older(opened, &record)
        });
        self.run(given).unwrap();
    }

    /// The process is killed: nothing is closed, what was not written is gone.
    pub(super) fn kill(self, phone: &Phone) {
        let work = Arc::downgrade(&self.wallet);
        self.runtime.shutdown_background();
        drop(self.wallet);
        // The system ends all work with the process and frees the folder; here, what was under way must come to its end. A
        // folder that is free before may be taken again by work that has yet to begin.
        let deadline = Instant::now() + PATIENCE;
        while work.strong_count() > 0 || FolderLock::take(phone.path()).is_err() {
            assert!(Instant::now() < deadline, "the folder is never freed");
            std::thread::yield_now();
        }
    }
}

pub(super) fn status(answer: &[u8]) -> Result<(), u16> {
    match answer {
        [.., 0x90, 0x00] => Ok(()),
        [.., high, low] => Err(u16::from_be_bytes([*high, *low])),
        _ => panic!("an answer without a status word"),
    }
}

/// What a reader got of a payment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Paid {
    pub(super) atc: u16,
    pub(super) iad: Vec<u8>,
    pub(super) cryptogram: Vec<u8>,
    pub(super) ctq: Vec<u8>,
}

/// A GPO over this amount in fen; the number is the reader's unpredictable number.
pub(super) fn gpo(number: u32, minor: u32) -> String {
    format!(
        "80A8000037833566800000{minor:012}000000000000015600000000000156261122 00{number:08X}{}00",
        "20".repeat(20)
    )
    .replace(' ', "")
}
