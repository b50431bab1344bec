//! A card on the screen, as a consumer-presented code: a counter for each step of time, beside taps and after payments.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::codes::phone_with;
use super::phone::{KEY_ENDS_MS, Life, NOON_MS};
use crate::account::{Currency, Money};
use crate::backend::protocol::{CodePaymentState, Policy};
use crate::code::CodePolicy;
use crate::code::steps::ClockRules;
use crate::statement::JournalEvent;
use crate::token::TokenRef;
use crate::wallet::{CodeKind, CodePayment, CodeRefusal, CodeState, CodeView};

fn token() -> TokenRef {
    TokenRef::new("tok_1")
}

fn show(life: &Life) -> Arc<CodeView> {
    let shown = life
        .wallet
        .show_code(CodeKind::ConsumerPresented, None, None);
    life.run(shown).unwrap()
}

/// The counters of the cryptograms that are in the journal, in order.
fn journalled(life: &Life) -> Vec<u16> {
    let opened = life.wallet.opened().unwrap();
    let journal = opened.vault.read(|tx| tx.journal_after(0)).unwrap();
    let atcs = journal.iter().filter_map(|(_, _, event)| match event {
        JournalEvent::Presented { payment, .. } => payment.atc(),
        _ => None,
    });
    atcs.collect()
}

#[test]
fn s22_a_card_on_the_screen_uses_each_counter_once() {
    let (phone, life) = phone_with(1);
    let view = show(&life);
    let mut codes = Vec::new();
    for _ in 0..5 {
        let shown = view.now();
        assert_eq!(view.now().code, shown.code, "a step has one code");
        codes.push(shown.code);
        phone.clocks.pass(30_000);
    }
    assert_eq!(view.now().state, CodeState::Paused);
    life.run(view.renew(None)).unwrap();
    codes.push(view.now().code);
    life.run(view.close());
    life.run(life.wallet.close()).unwrap();
    let distinct: BTreeSet<_> = codes.iter().collect();
    assert_eq!(distinct.len(), 6);
    assert!(codes.iter().all(|code| code.starts_with("hQVDUFYw")));

    // Six were shown and journalled; four of the second showing came back, their counters did not.
    let life = phone.live();
    life.run(life.wallet.open()).unwrap();
    assert_eq!(journalled(&life), [1, 2, 3, 4, 5, 6]);
    let opened = life.wallet.opened().unwrap();
    let state = opened.known().state.tokens[&token()].clone();
    assert_eq!(state.next_atc, 11);
    assert_eq!(state.keys.uses_left(NOON_MS, false), 1_000 - 6);
    drop(opened);
    assert!(life.run(life.wallet.statement()).unwrap().is_empty());
    life.run(life.wallet.start()).unwrap();
    assert_eq!(life.pay(1), Ok(11));
}

#[test]
fn a_card_is_shown_beside_taps() {
    let (phone, life) = phone_with(1);
    life.run(life.wallet.start()).unwrap();
    assert_eq!(life.pay(1), Ok(1));
    let view = show(&life);
    assert_eq!(view.now().state, CodeState::Showing);
    let mut atcs: Vec<_> = (2..12).map(|number| life.pay(number).unwrap()).collect();
    phone.clocks.pass(30_000);
    assert_eq!(view.now().state, CodeState::Showing);
    life.run(view.close());
    life.run(life.wallet.close()).unwrap();
    let life = phone.live();
    life.run(life.wallet.open()).unwrap();
    atcs.extend(journalled(&life));
    atcs.push(1);
    atcs.sort_unstable();
    let shown = atcs.len();
    atcs.dedup();
    assert_eq!((atcs.len(), shown), (13, 13), "no counter twice");
    // Thirteen were used of the thousand, and none was lost between tap and screen.
    let opened = life.wallet.opened().unwrap();
    let left = opened.known().state.tokens[&token()]
        .keys
        .uses_left(NOON_MS, false);
    assert_eq!(left, 1_000 - 13);
}

#[test]
fn s26_a_key_that_has_come_to_its_end_is_on_no_screen() {
    let (phone, life) = phone_with(2);
    let policy = CodePolicy {
        clock: ClockRules {
            max_age_ms: 60 * 86_400_000,
            ..Default::default()
        },
        ..CodePolicy::default()
    };
    life.configure(Policy {
        codes: Some(policy),
        ..Policy::default()
    });
    let view = show(&life);
    assert_eq!(view.now().state, CodeState::Showing);
    phone.clocks.pass(KEY_ENDS_MS - NOON_MS);
    assert_eq!(view.now().state, CodeState::Refused(CodeRefusal::NoKeys));
}

/// A payment belongs to the showing whose counter it was made with. What was shown before a pause may still be paid in the
/// next showing of the view; once one of them was paid, none is the next showing's.
#[test]
fn counters_linger_over_a_pause_and_not_over_a_payment() {
    let (phone, life) = phone_with(1);
    let view = show(&life);
    for _ in 0..5 {
        assert_eq!(view.now().state, CodeState::Showing);
        phone.clocks.pass(30_000);
    }
    assert_eq!(view.now().state, CodeState::Paused);
    assert_eq!(life.wallet.counters_on_screen(), [1, 2, 3, 4, 5]);
    life.run(view.renew(None)).unwrap();
    assert_eq!(view.now().state, CodeState::Showing);
    assert_eq!(life.wallet.counters_on_screen(), [4, 5, 6]);
    let paid = CodePayment {
        payment_id: String::new(),
        state: CodePaymentState::Approved,
        wants_password: false,
        confirm_until_ms: 0,
        account: token(),
        money: Money {
            minor: 1_250,
            currency: Currency::CNY,
        },
        merchant: "Tea house".to_owned(),
        reason: None,
        authorisation: None,
    };
    life.wallet.pay_what_is_on_screen(paid.clone());
    assert_eq!(view.now().state, CodeState::Used(paid));
    life.run(view.renew(None)).unwrap();
    assert_eq!(view.now().state, CodeState::Showing);
    assert_eq!(life.wallet.counters_on_screen(), [11]);
}
