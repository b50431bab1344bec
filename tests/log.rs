//! The log through the facade: what an app's sink hears at TRACE of a card number, a key and a PIN.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tapcore::backend::BackendError;
use tapcore::emv::derivation::{MasterKeyOption, card_master_key, limited_use_key};
use tapcore::emv::profile::CardProfile;
use tapcore::ffi::{self, LogLevel, LogSink, set_log_sink};
use tapcore::store::{SealError, StoreError};
use tapcore::token::KeyIndex;
use tapcore::vault::{KeyStoreError, VaultError};
use tapcore::wallet::WalletError;
use tracing::{error, info, trace};

const PAN: &str = "6228480402564890018";
const KEY: &str = "C0FFEE11C0FFEE22C0FFEE33C0FFEE44";
const PIN: &str = "739164";

/// Long enough for the slowest machine; a test that passes never waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// There is one log in a process, so its tests take turns.
static TURN: Mutex<()> = Mutex::new(());

struct Ear(Sender<(LogLevel, String, String)>);

impl LogSink for Ear {
    fn log(&self, level: LogLevel, target: String, message: String) {
        let _ = self.0.send((level, target, message));
    }
}

fn listen(
    level: LogLevel,
) -> (
    MutexGuard<'static, ()>,
    Receiver<(LogLevel, String, String)>,
) {
    let turn = TURN.lock().unwrap_or_else(|failed| failed.into_inner());
    let (ear, heard) = channel();
    set_log_sink(level, Arc::new(Ear(ear)));
    (turn, heard)
}

/// Everything that was heard up to now, a line each.
fn all(heard: &Receiver<(LogLevel, String, String)>) -> Vec<String> {
    error!(target: "tapcore::test", "that was all");
    let mut lines = Vec::new();
    loop {
        let (level, target, message) = heard.recv_timeout(PATIENCE).unwrap();
        if message == "that was all" {
            return lines;
        }
        lines.push(format!("{level:?} {target} {message}"));
    }
}

/// Whether a canary can be read in a text, in any of the forms that its bytes take.
fn shows_a_canary(text: &str) -> bool {
    let bare: String = text
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_uppercase();
    let list = |bytes: &[u8]| bytes.iter().map(u8::to_string).collect::<String>();
    let key = hex::decode(KEY).unwrap();
    [PAN, KEY, PIN].iter().any(|canary| {
        bare.contains(canary)
            || bare.contains(&hex::encode_upper(canary))
            || bare.contains(&list(canary.as_bytes()))
    }) || bare.contains(&list(&key))
}

#[test]
fn the_canaries_are_known_in_every_form() {
    let key = hex::decode(KEY).unwrap();
    for text in [
        format!("a {PAN}"),
        "6228-4804 0256:4890 018".into(),
        hex::encode(PAN),
        format!("{:?}", PIN.as_bytes()),
        format!("{key:?}"),
        format!("{key:02x?}"),
    ] {
        assert!(shows_a_canary(&text), "{text}");
    }
    assert!(!shows_a_canary("6228480402564890 and 018"));
}

#[test]
fn s18_no_canary_reaches_the_sink_at_trace() {
    let (_turn, heard) = listen(LogLevel::Trace);
    let key = hex::decode(KEY).unwrap();
    let grouped = "6228 4804 0256 4890 018";

    info!(target: "tapcore::wallet", "adding {PAN}");
    info!(target: "tapcore::wallet", number = PAN, expiry = "12/29", "adding a card");
    info!(target: "tapcore::wallet", card = PAN, "adding {grouped}");
    trace!(target: "tapcore::emv", "57 13 {PAN}D29122010000F");
    trace!(target: "tapcore::emv", record = %format!("70155A0A{PAN}F5F2403291231"), "read");
    trace!(target: "hyper", body = ?format!(r#"{{"number":"{PAN}","code":"{PIN}"}}"#), "sent");
    trace!(target: "hyper", bytes = PAN.as_bytes(), "sent");
    trace!(target: "reqwest", "POST /v1/cards?number={PAN}&code={PIN}");
    trace!(target: "rusqlite", parameters = ?[PAN, KEY], "insert");
    info!(target: "tapcore::vault", luk = ?key, "opened {KEY}");
    info!(target: "tapcore::vault", value = ?key, other = %KEY.to_lowercase(), "opened");
    info!(target: "tapcore::vault", pin = PIN, "unlocking");
    info!(target: "tapcore::vault", new_pin = ?Some(PIN), payment_password = PIN, "changing");
    error!(target: "tapcore::ffi", "panicked: wrong pin: {PIN}");

    let lines = all(&heard);
    assert_eq!(lines.len(), 14);
    for line in &lines {
        assert!(!shows_a_canary(line), "{line}");
        assert!(line.contains('‹'), "{line}");
    }
}

#[test]
fn the_level_and_the_sink_can_be_changed() {
    let (turn, first) = listen(LogLevel::Warn);
    info!(target: "tapcore::wallet", "too small");
    error!(target: "elsewhere", "not ours");
    error!(target: "tapcore::wallet", cards = 2, "heard");
    assert_eq!(all(&first), ["Error tapcore::wallet heard cards=2"]);
    drop(turn);

    let (_turn, second) = listen(LogLevel::Info);
    info!(target: "tapcore::wallet", "now it is large enough");
    let expected = ["Info tapcore::wallet now it is large enough"];
    assert_eq!(all(&second), expected);
    // The first sink has gone with its thread, once it had what was meant for it.
    assert!(first.recv_timeout(PATIENCE).is_err());
}

/// An error as a careless line would print it: both ways, with everything under it.
fn as_printed(error: &impl std::error::Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(&format!(" {inner} {inner:?}"));
        source = inner.source();
    }
    text
}

/// Our errors as they come to be when what is parsed holds the canaries.
#[test]
fn s18_errors_made_of_canaries_do_not_show_them() {
    let odd = format!("{PAN}{KEY}{PIN}");
    let json = format!(r#"{{"version":"{PAN}","luk":"{KEY}","pin":{PIN}}}"#);
    let key_index = KeyIndex::try_from(odd.clone()).err().unwrap();
    let parsed = serde_json::from_str::<u8>(&json).unwrap_err();
    let profile = || CardProfile::parse(&json).err().unwrap();
    // Two errors of SQLite that carry text: of the statement, and of a value of another type.
    let database = rusqlite::Connection::open_in_memory().unwrap();
    let statement = database
        .execute("SELECT ?1 FROM nowhere", [&odd])
        .unwrap_err();
    let value = database.query_row("SELECT ?1", [&odd], |row| row.get::<_, i64>(0));
    let sealed = || StoreError::from(SealError::Unsealable);

    let mut printed = vec![
        as_printed(&key_index),
        as_printed(&StoreError::from(parsed)),
        as_printed(&profile()),
        as_printed(&WalletError::from(profile())),
        as_printed(&ffi::WalletError::from(WalletError::from(profile()))),
        as_printed(&StoreError::from(statement)),
        as_printed(&StoreError::from(value.unwrap_err())),
        as_printed(&WalletError::from(sealed())),
        as_printed(&ffi::WalletError::from(sealed())),
        as_printed(&BackendError::from(VaultError::from(
            KeyStoreError::Invalidated,
        ))),
    ];
    assert!(tapcore::secret::Secret::<16>::from_hex(&odd).is_none());
    let master = tapcore::secret::Secret::take(hex::decode(KEY).unwrap()).unwrap();
    let misread = [
        card_master_key(&master, &format!("{PAN}x"), "00", MasterKeyOption::A),
        card_master_key(&master, PAN, KEY, MasterKeyOption::A),
        limited_use_key(&master, PIN),
    ];
    printed.extend(misread.map(|read| as_printed(&read.err().unwrap())));
    for text in &printed {
        assert!(!shows_a_canary(text), "{text}");
    }
}
