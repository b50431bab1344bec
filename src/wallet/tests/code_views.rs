//! A view of a code: what it outlives, what ends it, and who hears of that.

use super::codes::{alias, phone_with, stock};
use super::phone::Life;
use crate::backend::protocol::Policy;
use crate::code::CodePolicy;
use crate::risk::{RiskRules, RiskSignals, Weights};
use crate::token::TokenRef;
use crate::wallet::{CodeEnd, CodeKind, CodeRefusal, CodeState, CodeView, WalletError};
use std::sync::Arc;

fn show(life: &Life) -> Arc<CodeView> {
    let shown = life.wallet.show_code(CodeKind::Numeric, None, None);
    life.run(shown).unwrap()
}

fn codes_left(life: &Life) -> u32 {
    life.run(life.wallet.status()).unwrap().codes_left
}

/// A screen draws in one loop from its opening to its closing: what is refused in between does not end it.
#[test]
fn a_view_goes_on_after_a_refusal() {
    let (phone, life) = phone_with(1);
    let view = show(&life);
    assert_eq!(
        life.run(view.next()).unwrap().state,
        CodeState::Showing,
        "the last code"
    );
    life.run(view.photographed());
    let dead = life.run(view.next()).unwrap();
    assert_eq!(dead.state, CodeState::Ended(CodeEnd::Photographed));
    let refused = life.run(view.renew(None));
    assert!(matches!(
        refused,
        Err(WalletError::Code(CodeRefusal::NoneLeft))
    ));
    let waiting = {
        let view = Arc::clone(&view);
        life.runtime.spawn(async move { view.next().await })
    };
    stock(&phone, &life, 5..8);
    life.run(view.renew(None)).unwrap();
    let shown = life.run(waiting).unwrap().unwrap();
    assert_eq!(shown.state, CodeState::Showing);
}

#[test]
fn a_view_that_was_closed_takes_nothing_more() {
    let (_phone, life) = phone_with(5);
    let view = show(&life);
    life.run(view.close());
    let renewed = life.run(view.renew(None));
    assert!(matches!(renewed, Err(WalletError::Input(_))));
    let revealed = life.run(view.reveal("nobody".into()));
    assert!(matches!(revealed, Err(WalletError::Input(_))));
    assert_eq!(codes_left(&life), 4);
}

#[test]
fn a_caller_that_goes_away_leaves_nothing_on_the_screen() {
    let (phone, life) = phone_with(5);
    phone.hardware.hold_next();
    let asked = {
        let wallet = Arc::clone(&life.wallet);
        life.runtime
            .spawn(async move { wallet.show_code(CodeKind::Numeric, None, None).await })
    };
    phone.hardware.is_held();
    asked.abort();
    assert!(life.run(asked).is_err(), "the caller is gone");
    phone.hardware.let_go();
    // Work with keys comes one after the other.
    life.run(life.wallet.with_keys(|_, _| Ok(()))).unwrap();
    assert!(life.wallet.is_screen_empty());
    assert_eq!(life.wallet.aliases_over(), [alias(0)], "it was taken");
    assert_eq!(codes_left(&life), 4);
}

/// A call that is slow does not take the screen from one that came after it.
#[test]
fn a_newer_code_outdates_one_that_is_on_its_way() {
    let (phone, life) = phone_with(5);
    phone.hardware.hold_next();
    let turn = Arc::clone(&life.wallet);
    let busy = async move { turn.set_up_verification(None).await };
    let busy = life.runtime.spawn(busy);
    phone.hardware.is_held();
    let slow = {
        let wallet = Arc::clone(&life.wallet);
        async move { wallet.show_code(CodeKind::Numeric, None, None).await }
    };
    let slow = life.runtime.spawn(slow);
    while life.wallet.views_asked_for() < 1 {
        std::thread::yield_now();
    }
    let newer = {
        let wallet = Arc::clone(&life.wallet);
        life.runtime
            .spawn(async move { wallet.show_code(CodeKind::Numeric, None, None).await })
    };
    while life.wallet.views_asked_for() < 2 {
        std::thread::yield_now();
    }
    phone.hardware.let_go();
    life.run(busy).unwrap().unwrap();
    let slow = life.run(slow).unwrap().map(|_| ());
    assert!(matches!(slow, Err(WalletError::Interrupted)), "{slow:?}");
    let newer = life.run(newer).unwrap().unwrap();
    assert_eq!(newer.now().state, CodeState::Showing);
    assert_eq!(codes_left(&life), 4);
}

#[test]
fn what_is_refused_before_it_begins_leaves_the_code_that_is_shown() {
    let (_phone, life) = phone_with(5);
    let view = show(&life);
    let other = Some(TokenRef::new("tok_2"));
    let refused = life.run(life.wallet.show_code(CodeKind::Numeric, other, None));
    assert!(matches!(refused, Err(WalletError::NoSuchCard)));
    assert_eq!(view.now().state, CodeState::Showing);
    assert!(life.wallet.aliases_over().is_empty());
}

#[test]
fn s41_the_provider_hears_of_a_code_that_an_unsafe_phone_has_stopped() {
    let (_phone, life) = phone_with(5);
    let view = show(&life);
    life.wallet.report_risk(RiskSignals {
        hooked: true,
        rooted: true,
        ..RiskSignals::default()
    });
    assert_eq!(
        view.now().state,
        CodeState::Refused(CodeRefusal::Unsafe),
        "at the next look"
    );
    assert_eq!(life.wallet.aliases_over(), [alias(0)]);
}

/// The issuer's rules count from the first code on, whether the wallet was started for taps or not.
#[test]
fn s41_codes_go_by_the_issuer_s_rules_of_risk() {
    let (phone, life) = phone_with(5);
    life.configure(Policy {
        codes: Some(CodePolicy::default()),
        risk: RiskRules {
            weights: Weights {
                debugger: 100,
                ..Weights::default()
            },
            block_at: 100,
        },
        ..Policy::default()
    });
    life.kill(&phone);
    let life = phone.live();
    life.run(life.wallet.open()).unwrap();
    life.wallet.report_risk(RiskSignals {
        debugger: true,
        ..RiskSignals::default()
    });
    let refused = life.run(life.wallet.show_code(CodeKind::Numeric, None, None));
    assert!(matches!(
        refused,
        Err(WalletError::Code(CodeRefusal::Unsafe))
    ));
}

#[test]
fn s43_an_app_that_became_too_old_stops_its_code() {
    let (_phone, life) = phone_with(5);
    let view = show(&life);
    life.configure(Policy {
        codes: Some(CodePolicy::default()),
        minimum_app_version: "9".into(),
        ..Policy::default()
    });
    assert_eq!(view.now().state, CodeState::Ended(CodeEnd::Closed));
    assert_eq!(life.wallet.aliases_over(), [alias(0)]);
    let renewed = life.run(view.renew(None));
    assert!(matches!(renewed, Err(WalletError::Outdated(_))));
}
