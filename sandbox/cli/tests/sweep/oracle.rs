//! What must hold whatever has happened to a phone.

use std::collections::{BTreeMap, BTreeSet};

use tapcore::ffi::{CardState, CodeKind, CodeRefusal, EntryState, WalletError};

use crate::common::Sandbox;
use crate::phone::{Life, Phone, files, wait};
use crate::provider::enrol;

/// How a phone was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It opened and could pay.
    Sound,
    /// It opened; it has no card, or is not enrolled yet.
    Empty,
    /// It opened; the person has locked it, or holds its cards back, and it does not pay.
    Held,
    /// It said that its data is lost; enrolling again helped.
    Lost,
}

/// Opens a phone anew, holds it to everything that it has promised, and lets it pay.
///
/// `what` names the case in messages. The phone's history goes on.
#[track_caller]
pub(crate) fn examine(phone: &mut Phone, sandbox: &Sandbox, what: &str) -> Found {
    let found = opened(phone, sandbox, what);
    no_counter_twice(phone, what);
    no_alias_twice(phone, what);
    databases_are_whole(phone, what);
    found
}

#[track_caller]
fn opened(phone: &mut Phone, sandbox: &Sandbox, what: &str) -> Found {
    let life = phone.live();
    let mut found = match life.open() {
        Err(WalletError::Corrupt { .. }) => Found::Lost,
        Err(error) => panic!(
            "{what}: opening: {error} (code {}), {:?}",
            error.code(),
            files(&phone.data)
        ),
        Ok(()) => Found::Sound,
    };
    if found == Found::Sound {
        one_arming(phone, what);
        statement_is_the_journal(phone, &life, what);
        let status = wait(life.wallet.status());
        let cards = status
            .unwrap_or_else(|error| panic!("{what}: status: {error}"))
            .cards;
        found = match cards {
            0 => Found::Empty,
            _ => pays(phone, &life, what),
        };
    }
    if found == Found::Lost {
        let started = life.start();
        let lost = matches!(started, Err(WalletError::Corrupt { .. }));
        assert!(
            lost,
            "{what}: opening or starting was refused, starting is {started:?}"
        );
        assert!(life.tap().is_err(), "{what}: a lost wallet pays");
        for kind in [CodeKind::Numeric, CodeKind::ConsumerPresented] {
            let shown = life.show(kind);
            assert!(shown.is_err(), "{what}: a lost wallet shows a code");
        }
        enrol(&life, sandbox).unwrap_or_else(|error| panic!("{what}: enrolling: {error}"));
        // Nothing of the lost journal is owed any more; its counters must not come again all the same.
        phone.journalled.clear();
        one_arming(phone, what);
        statement_is_the_journal(phone, &life, what);
    }
    wait(life.wallet.shut_down()).unwrap_or_else(|error| panic!("{what}: closing: {error}"));
    *phone = life.ends(phone, fault_vfs::Loss::Nothing, phone.fresh_folder());
    found
}

/// Starts and taps twice, unless that is refused for good.
#[track_caller]
fn pays(phone: &Phone, life: &Life, what: &str) -> Found {
    let status = match wait(life.wallet.start()) {
        Err(WalletError::Corrupt { .. }) => return Found::Lost,
        started => started.unwrap_or_else(|error| panic!("{what}: starting: {error}")),
    };
    one_arming(phone, what);
    let cards = wait(life.wallet.cards()).unwrap();
    if status.refusal.is_some() || !cards.iter().any(|card| card.state == CardState::Active) {
        assert!(life.tap().is_err(), "{what}: what is held back pays");
        return Found::Held;
    }
    if let Some(given) = phone.given {
        // Limits hold across every crash: what has left and what can still leave is what was given, at the most.
        let paid = phone.paid.len();
        assert!(
            paid + status.taps_left as usize <= given,
            "{what}: {paid} paid and {} left of {given}",
            status.taps_left
        );
    }
    for _ in 0..2 {
        if let Err(refused) = life.pays() {
            panic!("{what}: a tap is refused: {refused:04X}");
        }
    }
    assert!(life.told(2), "{what}: taps are not told of");
    if let Some(stocked) = phone.stocked {
        shows(phone, life, stocked, what);
    }
    Found::Sound
}

/// Shows a code of either kind. No crash has brought an alias back, and a numeric code is refused only where none is left.
#[track_caller]
fn shows(phone: &Phone, life: &Life, stocked: usize, what: &str) {
    let (seen, left) = (phone.aliases.len(), codes_left(life));
    assert!(
        seen + left <= stocked,
        "{what}: {seen} aliases were seen and {left} are left of {stocked}"
    );
    match life.show(CodeKind::Numeric) {
        Ok(_) => assert!(left > 0, "{what}: a code is shown where none is left"),
        Err(WalletError::CodesUnavailable {
            reason: CodeRefusal::NoneLeft,
            ..
        }) if left == 0 => {}
        Err(error) => panic!("{what}: showing a numeric code: {error}"),
    }
    if let Err(error) = life.show(CodeKind::ConsumerPresented) {
        panic!("{what}: showing a card: {error}");
    }
}

/// How many numeric codes can be shown without a network.
pub(crate) fn codes_left(life: &Life) -> usize {
    wait(life.wallet.status()).unwrap().codes_left as usize
}

/// After opening, one key opens the database's arming and no other arming key of this installation is left on the phone.
#[track_caller]
pub(crate) fn one_arming(phone: &Phone, what: &str) {
    let alias: String = phone.ask("vault.db", "SELECT alias FROM arming");
    let (installation, _) = alias.split_once(".arming.").unwrap();
    let mut armings = phone.anchor.armings();
    // Making an installation may fail after its keys are made; they open nothing, for their database never came to be.
    armings.retain(|alias| alias.starts_with(installation));
    assert_eq!(armings, [alias], "{what}");
}

/// Payments that the sandbox lets a limited-use key make.
const USES: usize = 10;

/// No token has used a counter twice, made the same cryptogram twice, or used a key more often than it may.
#[track_caller]
pub(crate) fn no_counter_twice(phone: &Phone, what: &str) {
    let mut counters = BTreeMap::new();
    let mut cryptograms = BTreeMap::new();
    let mut keys = BTreeMap::<_, usize>::new();
    for paid in &phone.paid {
        let twice = counters.insert((&paid.token, paid.atc), paid);
        assert_eq!(twice, None, "{what}: ATC {} left twice: {paid:?}", paid.atc);
        let twice = cryptograms.insert(&paid.cryptogram, paid);
        assert_eq!(twice, None, "{what}: a cryptogram left twice");
        let uses = keys.entry((&paid.token, &paid.key)).or_default();
        *uses += 1;
        assert!(
            *uses <= USES,
            "{what}: key {} was used {uses} times",
            paid.key
        );
    }
}

/// No alias was on the screen in two showings, whatever lives of the phone they were in.
#[track_caller]
fn no_alias_twice(phone: &Phone, what: &str) {
    let mut seen = BTreeSet::new();
    for alias in &phone.aliases {
        assert!(seen.insert(alias), "{what}: alias {alias} was shown twice");
    }
}

/// The statement holds every payment that was acknowledged, once; it holds none that never happened; and its projection
/// stands where the journal ends.
#[track_caller]
fn statement_is_the_journal(phone: &Phone, life: &Life, what: &str) {
    let lines = life
        .statement()
        .unwrap_or_else(|error| panic!("{what}: statement: {error}"));
    let mut shown: Vec<u16> = lines
        .iter()
        .map(|line| u16::try_from(line.atc.unwrap()).unwrap())
        .collect();
    shown.sort_unstable();
    for atc in &phone.journalled {
        let times = shown.iter().filter(|shown| *shown == atc).count();
        assert_eq!(
            times, 1,
            "{what}: acknowledged ATC {atc} is in {shown:?} {times} times"
        );
    }
    let heard_of = |atc: &u16| {
        let issuer = |state| matches!(state, EntryState::Matched | EntryState::Declined);
        phone.paid.iter().any(|paid| paid.atc == *atc)
            || lines
                .iter()
                .any(|line| line.atc == Some(u32::from(*atc)) && issuer(line.state))
    };
    let invented: Vec<_> = shown.iter().filter(|atc| !heard_of(atc)).collect();
    assert!(
        invented.is_empty(),
        "{what}: {invented:?} were never paid, of {shown:?}"
    );
    let journal: i64 = phone.ask("vault.db", "SELECT COALESCE(MAX(seq), 0) FROM journal");
    let projected = "SELECT COALESCE(MAX(value), 0) FROM position WHERE name = 'journal'";
    let projected: i64 = phone.ask("statement.db", projected);
    assert_eq!(
        projected, journal,
        "{what}: the projection is not where the journal is"
    );
}

/// SQLite finds nothing wrong with either file.
#[track_caller]
fn databases_are_whole(phone: &Phone, what: &str) {
    for name in ["vault.db", "statement.db"] {
        let verdict: String = phone.ask(name, "PRAGMA integrity_check");
        assert_eq!(verdict, "ok", "{what}: {name}");
    }
}
