//! The tap under the interruptions a phone has: cold starts, slow and failing key stores, callers that give up, kills.
//!
//! One rule holds in all of them: no ATC leaves twice.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::phone::{PATIENCE, PPSE, Phone, status};
use crate::wallet::{Answer, WalletError};

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
fn s07_whichever_call_to_the_key_store_fails_no_counter_is_repeated_and_the_wallet_opens() {
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
    let mut shown: Vec<u16> = lines.iter().filter_map(|line| line.atc).collect();
    shown.sort_unstable();
    assert_eq!(shown, atcs);
    let states: Vec<_> = lines.iter().map(|line| line.state).collect();
    use crate::statement::EntryState::{Incomplete, Pending};
    assert_eq!(states, [Pending, Incomplete, Incomplete]);
}
