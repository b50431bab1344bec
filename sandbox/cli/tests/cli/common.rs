//! What the tests share: sandboxes, phones and tills of the real program, each in a temporary folder.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use crate::field::{Field, PPSE, SELECT, status};
pub(crate) use crate::process::{Ended, PATIENCE, Running, tapcore};

/// An expiry that has not passed for a while.
pub(crate) const EXPIRY: &str = "12/29";

/// A sandbox in a folder of its own.
pub(crate) struct Sandbox {
    // Before the folder, so that the process is gone when the folder goes.
    running: Running,
    folder: Arc<TempDir>,
    pub(crate) ready: Value,
}

/// The sandbox of all tests that do not need one of their own; gone when none of them runs.
static SHARED: Mutex<Weak<Sandbox>> = Mutex::new(Weak::new());

impl Sandbox {
    pub(crate) fn start() -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()))
    }

    fn start_in(folder: Arc<TempDir>) -> Self {
        let path = folder.path().join("sandbox");
        let running = Running::start(&["sandbox".as_ref(), "--data".as_ref(), path.as_os_str()]);
        let ready = running.next();
        Self {
            running,
            folder,
            ready,
        }
    }

    /// The sandbox that tests share; they keep apart by their phones and card numbers.
    pub(crate) fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let sandbox = Arc::new(Self::start());
            *shared = Arc::downgrade(&sandbox);
            sandbox
        })
    }

    /// Ends it and starts it again on the same folder, with other ports.
    pub(crate) fn restart(self) -> Self {
        let folder = self.stop();
        Self::start_in(folder)
    }

    /// Ends it; its folder stays until what is returned is dropped.
    pub(crate) fn stop(self) -> Arc<TempDir> {
        self.running.stop();
        self.folder
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("sandbox")
    }

    pub(crate) fn provider(&self) -> &str {
        self.ready["provider"].as_str().unwrap()
    }

    pub(crate) fn acquirer(&self) -> &str {
        self.ready["acquirer"].as_str().unwrap()
    }

    pub(crate) fn ca(&self) -> &str {
        self.ready["ca"].as_str().unwrap()
    }

    /// Waits for the SMS to the holder of this card; answers its code.
    pub(crate) fn sms(&self, number: &str) -> String {
        let masked = format!("…{}", &number[number.len() - 4..]);
        let sms = self.running.event_with("sms", |sms| {
            sms["to"]
                .as_str()
                .is_some_and(|to| to.ends_with(&format!("customer {masked}")))
        });
        sms["code"].as_str().unwrap().to_owned()
    }

    /// What its support desk does.
    pub(crate) fn desk(&self, task: &str, words: &[&str]) -> Ended {
        let data = self.path();
        let begin = ["sandbox", task, "--data", data.to_str().unwrap()];
        tapcore(&[&begin[..], words].concat())
    }

    /// The books of a party.
    pub(crate) fn ledger(&self, party: &str) -> Value {
        ledger(&self.path(), party)
    }
}

/// The books of a party of the sandbox in this folder.
pub(crate) fn ledger(folder: &Path, party: &str) -> Value {
    let folder = folder.to_str().unwrap();
    let words = [
        "sandbox", "ledger", "--data", folder, "--party", party, "--json",
    ];
    tapcore(&words).exits(0).json()
}

/// A test card of bank a that no other test has.
pub(crate) fn fresh_number() -> String {
    // From here on, the last four digits are not those of a number with a purpose.
    static NEXT: AtomicU32 = AtomicU32::new(1100);
    let body = format!("622848{:09}", NEXT.fetch_add(1, Ordering::Relaxed));
    let sum: u32 = (body.bytes().rev().enumerate())
        .map(|(at, digit)| match (at % 2, u32::from(digit - b'0')) {
            (0, digit) => digit * 2 / 10 + digit * 2 % 10,
            (_, digit) => digit,
        })
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

/// A phone: a wallet's folder and, beside it, the folder that plays its hardware.
pub(crate) struct Phone {
    folder: TempDir,
    pub(crate) number: String,
}

impl Phone {
    /// One out of the box.
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            number: fresh_number(),
        }
    }

    pub(crate) fn enrolled(sandbox: &Sandbox) -> Self {
        let phone = Self::new();
        phone.enrol(sandbox.provider(), sandbox.ca()).exits(0);
        phone
    }

    pub(crate) fn with_card(sandbox: &Sandbox) -> Self {
        let phone = Self::enrolled(sandbox);
        phone.add_card(sandbox);
        phone
    }

    /// A phone with a card that reaches the sandbox's provider at another address, such as a relay's.
    pub(crate) fn with_card_through(sandbox: &Sandbox, provider: &str) -> Self {
        let phone = Self::new();
        phone.enrol(provider, sandbox.ca()).exits(0);
        phone.add_card(sandbox);
        phone
    }

    /// A phone with the card of this number, one with a purpose.
    pub(crate) fn with_number(sandbox: &Sandbox, number: &str) -> Self {
        let mut phone = Self::enrolled(sandbox);
        phone.number = number.to_owned();
        phone.add_card(sandbox);
        phone
    }

    /// A phone with a card of this scheme.
    pub(crate) fn with_profile(sandbox: &Sandbox, profile: &str) -> Self {
        let phone = Self::enrolled(sandbox);
        let begin = ["card", "add", "--number", &phone.number, "--expiry", EXPIRY];
        let begun = phone.run(&[&begin[..], &["--profile", profile]].concat());
        begun.exits(1);
        phone.finish_card(&sandbox.sms(&phone.number)).exits(0);
        phone
    }

    /// Another phone of the same person, without a card.
    pub(crate) fn beside_this(&self, sandbox: &Sandbox) -> Self {
        let phone = Self::new();
        phone
            .join(sandbox.provider(), sandbox, &self.link(&[]))
            .exits(0);
        phone
    }

    /// A code for another phone.
    pub(crate) fn link(&self, more: &[&str]) -> String {
        let link = self.run(&[&["link", "--json"], more].concat()).exits(0);
        link.json()["code"].as_str().unwrap().to_owned()
    }

    /// Enrols with such a code.
    pub(crate) fn join(&self, provider: &str, sandbox: &Sandbox, code: &str) -> Ended {
        self.run(&[
            "enrol",
            "--provider",
            provider,
            "--ca",
            sandbox.ca(),
            "--link",
            code,
        ])
    }

    /// The same phone again, folder by folder: a copy to break.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self {
            folder: tempfile::tempdir().unwrap(),
            number: self.number.clone(),
        };
        copy_folder(&self.data(), &copy.data());
        copy_folder(&self.platform(), &copy.platform());
        copy
    }

    pub(crate) fn status(&self) -> Value {
        self.run(&["status", "--json"]).exits(0).json()
    }

    /// Its name at the provider.
    pub(crate) fn device_id(&self) -> String {
        self.status()["device_id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn cards(&self) -> Vec<Value> {
        let cards = self.run(&["card", "list", "--json"]).exits(0).json();
        cards["cards"].as_array().unwrap().clone()
    }

    /// What provider and phone hold of the person.
    pub(crate) fn export(&self) -> Value {
        self.run(&["export"]).exits(0).json()
    }

    /// The names of the keys in its hardware.
    pub(crate) fn keys(&self) -> BTreeSet<String> {
        let files = std::fs::read_dir(self.platform()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    /// Whether it holds neither keys nor a vault.
    #[track_caller]
    pub(crate) fn is_wiped(&self) {
        assert_eq!(self.keys(), BTreeSet::new());
        let files = std::fs::read_dir(self.data()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        assert_eq!(names.collect::<Vec<_>>(), ["lock"]);
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("phone")
    }

    pub(crate) fn platform(&self) -> PathBuf {
        self.folder.path().join("phone-platform")
    }

    /// A place beside the phone's folders, gone with them.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn start(&self, words: &[&str]) -> Running {
        let data = self.data();
        let mut all = vec!["phone", "--data", data.to_str().unwrap()];
        all.extend(words);
        Running::start(&all)
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ended {
        self.start(words).end()
    }

    /// The same, with these lines typed.
    pub(crate) fn run_typing(&self, words: &[&str], lines: &str) -> Ended {
        let mut running = self.start(words);
        running.type_in(lines);
        running.end()
    }

    pub(crate) fn enrol(&self, provider: &str, ca: &str) -> Ended {
        self.run(&["enrol", "--provider", provider, "--ca", ca])
    }

    /// Asks for an SMS code and gives none.
    pub(crate) fn begin_card(&self) -> Ended {
        self.run(&["card", "add", "--number", &self.number, "--expiry", EXPIRY])
    }

    /// Gives the code for the card that was begun.
    pub(crate) fn finish_card(&self, code: &str) -> Ended {
        let number = self.number.as_str();
        self.run(&[
            "card", "add", "--number", number, "--expiry", EXPIRY, "--sms", code,
        ])
    }

    pub(crate) fn add_card(&self, sandbox: &Sandbox) {
        self.begin_card().exits(1);
        self.finish_card(&sandbox.sms(&self.number)).exits(0);
    }

    pub(crate) fn statement(&self) -> Vec<Value> {
        let statement = self.run(&["statement", "--json"]).exits(0).json();
        statement["entries"].as_array().unwrap().clone()
    }

    /// The state of every payment, by ATC.
    pub(crate) fn states(&self) -> Vec<(u64, String)> {
        let mut states: Vec<_> = (self.statement().iter())
            .map(|entry| {
                let state = entry["state"].as_str().unwrap().to_owned();
                (entry["atc"].as_u64().unwrap(), state)
            })
            .collect();
        states.sort();
        states
    }

    /// Syncs until `settled` is content with the statement: the network's word takes a moment to reach the provider.
    #[track_caller]
    pub(crate) fn sync_until(&self, settled: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let until = Instant::now() + PATIENCE;
        loop {
            self.run(&["sync"]).exits(0);
            let statement = self.statement();
            if settled(&statement) {
                return statement;
            }
            assert!(Instant::now() < until, "not settled: {statement:#?}");
        }
    }

    /// A payment code, as the command line prints it.
    pub(crate) fn code(&self, more: &[&str]) -> Value {
        let words = ["code", "--json"];
        let words = [&words[..], more].concat();
        self.run(&words).exits(0).json()
    }

    /// Its card, ready for readers.
    pub(crate) fn serve(&self) -> Serving {
        Serving::of(self.start(&["serve", "--tcp", "127.0.0.1:0"]))
    }
}

/// A phone that readers can tap.
pub(crate) struct Serving {
    pub(crate) running: Running,
    pub(crate) addr: String,
}

impl Serving {
    /// Waits until the process is ready for readers.
    pub(crate) fn of(running: Running) -> Self {
        let ready = running.next();
        assert_eq!(ready["event"], "ready");
        Self {
            addr: ready["addr"].as_str().unwrap().to_owned(),
            running,
        }
    }

    /// Enters its field.
    pub(crate) fn field(&self) -> Field {
        Field::enter(&self.addr)
    }

    /// Whether no reader gets a cryptogram.
    #[track_caller]
    pub(crate) fn refuses(&self) {
        let mut field = self.field();
        let answers = [field.hex(PPSE), field.hex(SELECT)];
        let answer = field.gpo(1);
        assert_ne!(
            status(&answer),
            0x9000,
            "{answers:?} {}",
            hex::encode(&answer)
        );
    }

    /// Waits for its word that a tap is over.
    pub(crate) fn tapped(&self) -> Value {
        self.running.event("tap")
    }

    pub(crate) fn stop(self) {
        self.running.stop();
    }
}

/// A shop's terminal with a folder of its own.
pub(crate) struct Till {
    folder: TempDir,
    acquirer: String,
    ca: String,
}

impl Till {
    pub(crate) fn of(sandbox: &Sandbox) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            acquirer: sandbox.acquirer().to_owned(),
            ca: sandbox.ca().to_owned(),
        }
    }

    /// Takes a payment from the card at `card`.
    pub(crate) fn tap(&self, card: &str, amount: &str, more: &[&str]) -> Ended {
        let words = ["tap", "--amount", amount, "--card", card];
        self.does(&[&words[..], more].concat())
    }

    /// Takes a payment by this code.
    pub(crate) fn scan(&self, code: &str, amount: &str, more: &[&str]) -> Ended {
        let words = ["scan", code, "--amount", amount];
        self.does(&[&words[..], more].concat())
    }

    /// What else a terminal does; answers JSON.
    pub(crate) fn does(&self, task: &[&str]) -> Ended {
        let folder = self.folder.path().to_str().unwrap();
        let (acquirer, ca) = (self.acquirer.as_str(), self.ca.as_str());
        let begin = ["pos", "--data", folder];
        let end = ["--json", "--acquirer", acquirer, "--ca", ca];
        tapcore(&[&begin[..], task, &end[..]].concat())
    }
}

/// A port that nobody listens on.
pub(crate) fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Copies a folder with all files in it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Whether the object has a member of each of these names.
#[track_caller]
pub(crate) fn assert_members(object: &Value, names: &[&str]) {
    for name in names {
        assert!(object.get(name).is_some(), "no {name:?} in {object:#}");
    }
}

/// Whether the text is an instant as RFC 3339 writes it, in UTC.
#[track_caller]
pub(crate) fn assert_instant(text: &Value) {
    use time::format_description::well_known::Rfc3339;
    let text = text.as_str().unwrap();
    assert!(text.ends_with('Z'), "{text}");
    time::OffsetDateTime::parse(text, &Rfc3339).unwrap();
}

/// Whether the text is upper-case hex of this many bytes.
#[track_caller]
pub(crate) fn assert_hex(text: &Value, bytes: usize) {
    let text = text.as_str().unwrap();
    assert_eq!(hex::encode_upper(hex::decode(text).unwrap()), text);
    assert_eq!(text.len(), 2 * bytes, "{text}");
}
