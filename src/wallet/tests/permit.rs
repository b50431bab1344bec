//! Paying with the person verified, limits of keys, which card pays, and phones whose screen is locked.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use zeroize::Zeroizing;

use super::phone::{Life, PATIENCE, PPSE, Phone, SELECT, gpo, status};
use crate::account::{Currency, Money};
use crate::backend::protocol::Policy;
use crate::emv::verification::{VerificationLimits, VerificationRule};
use crate::token::{KeyLimits, TokenRef};
use crate::wallet::{Observer, Purpose, TapOutcome, TapRefusal, WalletError, WalletEvent};

const PIN: &str = "194917";

struct Events(Mutex<Sender<WalletEvent>>);

impl Observer for Events {
    fn on_event(&self, event: WalletEvent) {
        // A test that has heard enough listens no more.
        drop(self.0.lock().unwrap().send(event));
    }
}

fn listen(life: &Life) -> Receiver<WalletEvent> {
    let (sender, heard) = channel();
    life.wallet
        .set_observer(Arc::new(Events(Mutex::new(sender))));
    heard
}

fn yuan(minor: i64) -> Money {
    Money {
        minor,
        currency: Currency::CNY,
    }
}

fn asking(rule: VerificationRule) -> Policy {
    Policy {
        tap_verification: rule,
        // What a test has taken out of the field is out of it.
        deactivation_grace_ms: 0,
        ..Policy::default()
    }
}

/// A phone whose person has a PIN and keys for verified payments.
fn phone_of_a_person(rule: VerificationRule, keys: u32) -> (Phone, Life) {
    let phone = Phone::new();
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    life.configure(asking(rule));
    let pin = Zeroizing::new(PIN.to_owned());
    life.run(life.wallet.set_pin(pin, None)).unwrap();
    life.give_verified_keys(keys, None, 1);
    (phone, life)
}

fn verify(life: &Life, purpose: Purpose) -> Result<(), WalletError> {
    let pin = Zeroizing::new(PIN.to_owned());
    let id = life.run(life.wallet.verify_with_pin(pin, purpose))?;
    life.run(life.wallet.permit_tap(&id))
}

#[test]
fn s30_two_taps_the_second_for_the_very_amount_and_once() {
    let (_phone, life) = phone_of_a_person(VerificationRule::Always, 4);
    let heard = listen(&life);
    assert_eq!(life.pay_amount(1, 5000), Err(0x6986));
    let WalletEvent::PersonWanted { asked, .. } = heard.recv_timeout(PATIENCE).unwrap() else {
        panic!("the person is not called");
    };
    assert_eq!(asked.money, yuan(5000));

    verify(&life, Purpose::Payment(asked.money)).unwrap();
    assert_eq!(life.pay_amount(2, 5001), Err(0x6986), "another amount");
    let paid = life.pay_amount(3, 5000).unwrap();
    assert_eq!(paid.ctq, [0x00, 0x80], "the reader is told");
    assert_eq!(hex::encode(&paid.iad[3..7]), "03a40000", "and the issuer");
    assert_eq!(
        hex::encode(&paid.iad[8..]),
        "06570300",
        "by a key of its own"
    );
    assert_eq!(life.pay_amount(4, 5000), Err(0x6986), "once");
}

#[test]
fn s30_one_tap_up_to_a_ceiling_and_within_its_time() {
    let (phone, life) = phone_of_a_person(VerificationRule::Always, 4);
    verify(&life, Purpose::UpTo(yuan(10_000))).unwrap();
    assert_eq!(life.pay_amount(1, 10_001), Err(0x6986));
    assert!(life.pay_amount(2, 9_999).is_ok());
    assert_eq!(life.pay_amount(3, 1), Err(0x6986), "once");

    verify(&life, Purpose::UpTo(yuan(10_000))).unwrap();
    phone.clocks.pass(61_000);
    assert_eq!(life.pay_amount(4, 100), Err(0x6986), "its time is over");
    assert!(matches!(
        verify(&life, Purpose::UpTo(yuan(100_001))),
        Err(WalletError::Input(_))
    ));
}

#[test]
fn s31_a_verified_payment_needs_a_key_that_only_the_person_opens() {
    let (_phone, life) = phone_of_a_person(VerificationRule::Always, 1);
    verify(&life, Purpose::Payment(yuan(100))).unwrap();
    let by_person = life.pay_amount(1, 100).unwrap();
    assert!(matches!(
        verify(&life, Purpose::Payment(yuan(100))),
        Err(WalletError::NoVerifiedKeys)
    ));
    let without = life.pay_amount(3, 100);
    assert_eq!(without, Err(0x6986), "the phone's own key does not do");
    life.configure(asking(VerificationRule::Never));
    let by_phone = life.pay_amount(2, 100).unwrap();
    assert_eq!(by_phone.ctq, [0x00, 0x00]);
    assert_ne!(by_person.iad[8..], by_phone.iad[8..], "another key");
    // A verification for something else pays nothing, and a finished one not without `permit_tap`.
    let pin = Zeroizing::new(PIN.to_owned());
    let access = life.run(life.wallet.verify_with_pin(pin, Purpose::Access));
    let permitted = life.run(life.wallet.permit_tap(&access.unwrap()));
    assert!(matches!(permitted, Err(WalletError::NotVerified)));
}

#[test]
fn amount_count_and_sum_call_the_person_and_a_verified_payment_begins_anew() {
    let limits = VerificationLimits {
        currency: Currency::CNY,
        amount_minor: Some(30_000),
        count: Some(3),
        sum_minor: Some(50_000),
    };
    let (phone, life) = phone_of_a_person(VerificationRule::Above(limits), 4);
    assert_eq!(life.pay_amount(1, 30_001).err(), Some(0x6986), "amount");
    assert!(life.pay_amount(2, 30_000).is_ok());
    assert_eq!(life.pay_amount(3, 20_001).err(), Some(0x6986), "sum");
    assert!(life.pay_amount(4, 100).is_ok());
    // What was counted is not forgotten by starting the app again.
    life.run(life.wallet.close()).unwrap();
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    assert!(life.pay_amount(5, 100).is_ok());
    assert_eq!(life.pay_amount(6, 100).err(), Some(0x6986), "count");
    verify(&life, Purpose::Payment(yuan(100))).unwrap();
    assert!(life.pay_amount(7, 100).is_ok());
    assert!(life.pay_amount(8, 30_000).is_ok(), "counted anew");
    // A reader that asks for it gets it, whatever the amount (TTQ byte 2, bit 7).
    life.wallet.deactivated();
    assert_eq!(status(&life.send(SELECT)), Ok(()));
    let asked = gpo(9, 1).replacen("66800000", "66C00000", 1);
    assert_eq!(status(&life.send(&asked)), Err(0x6986));
}

#[test]
fn s30_payments_count_once_however_often_the_app_is_killed_and_starts() {
    let limits = VerificationLimits {
        currency: Currency::CNY,
        amount_minor: None,
        count: Some(3),
        sum_minor: Some(3_000),
    };
    let (phone, mut life) = phone_of_a_person(VerificationRule::Above(limits), 1);
    for number in 1..=3 {
        for _ in 0..2 {
            life.kill(&phone);
            life = phone.live();
            life.run(life.wallet.start()).unwrap();
        }
        assert!(life.pay_amount(number, 1_000).is_ok(), "payment {number}");
        // What a kill takes before it is written down counts on the network alone.
        life.run(life.wallet.settled()).unwrap();
    }
    assert_eq!(life.pay_amount(4, 1).err(), Some(0x6986), "the fourth");
}

#[test]
fn s26_amounts_above_a_keys_limits_are_refused_and_told() {
    let (_phone, life) = phone_of_a_person(VerificationRule::Always, 0);
    let limits = KeyLimits {
        currency: Currency::CNY,
        single_minor: 1_000,
        total_minor: 1_500,
        foreign_uses: 0,
    };
    life.give_verified_keys(3, Some(limits), 1);
    let heard = listen(&life);
    verify(&life, Purpose::Payment(yuan(1_001))).unwrap();
    assert_eq!(life.pay_amount(1, 1_001), Err(0x6985));
    let told = heard.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(told, WalletEvent::AboveLimit { .. }), "{told:?}");
    verify(&life, Purpose::Payment(yuan(1_000))).unwrap();
    assert!(life.pay_amount(2, 1_000).is_ok());
}

#[test]
fn a_lost_permission_costs_no_use_of_a_key() {
    let (phone, life) = phone_of_a_person(VerificationRule::Always, 1);
    verify(&life, Purpose::Payment(yuan(100))).unwrap();
    phone.clocks.pass(61_000);
    assert_eq!(life.pay_amount(1, 100), Err(0x6986));
    verify(&life, Purpose::Payment(yuan(100))).unwrap();
    assert!(life.pay_amount(2, 100).is_ok());
}

#[test]
fn a_locked_screen_pays_by_the_providers_leave_alone() {
    let phone = Phone::new();
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    life.wallet.set_screen_locked(true);
    assert!(life.pay(1).is_ok());
    life.configure(Policy {
        pays_locked: false,
        ..Policy::default()
    });
    assert_eq!(life.pay(2), Err(0x6985));
    let status = life.run(life.wallet.status()).unwrap();
    assert_eq!(status.refusal, Some(TapRefusal::ScreenLocked));
    life.wallet.set_screen_locked(false);
    assert!(life.pay(3).is_ok());
}

#[test]
fn a_card_that_is_not_there_is_neither_default_nor_next() {
    let phone = Phone::new();
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    let stranger = || TokenRef::new("tok_2");
    let default = life.run(life.wallet.set_default_card(stranger()));
    assert!(matches!(default, Err(WalletError::NoSuchCard)));
    let next = life.run(life.wallet.use_card_next(Some(stranger())));
    assert!(matches!(next, Err(WalletError::NoSuchCard)));
    let own = TokenRef::new("tok_1");
    life.run(life.wallet.set_default_card(own.clone())).unwrap();
    life.run(life.wallet.use_card_next(Some(own))).unwrap();
    assert!(life.pay(1).is_ok());
}

#[test]
fn a_reader_that_loses_the_phone_for_a_moment_gets_the_same_answer_and_one_tap_is_told() {
    let phone = Phone::new();
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    life.configure(Policy {
        deactivation_grace_ms: 3_600_000,
        ..Policy::default()
    });
    let heard = listen(&life);
    let first = life.pay_amount(1, 1250).unwrap();
    // Out of the field and in again, before the provider's patience is over.
    let again = life.pay_amount(1, 1250).unwrap();
    assert_eq!(first, again);
    for record in ["00B2010C00", "00B2020C00"] {
        assert_eq!(status(&life.send(record)), Ok(()));
    }
    let WalletEvent::Tap {
        atc,
        outcome,
        payment,
    } = heard.recv_timeout(PATIENCE).unwrap()
    else {
        panic!("the tap is not told");
    };
    assert_eq!((atc, outcome), (first.atc, TapOutcome::Complete));
    assert_eq!(payment.asked.money, yuan(1250));
    assert_eq!(payment.asked.country, Some([0x01, 0x56]));
    assert!(!payment.decision.is_verified());
    assert_eq!(status(&life.send(PPSE)), Ok(()));
}

#[test]
fn a_verified_key_that_has_paid_enough_gives_way_to_the_next() {
    let (_phone, life) = phone_of_a_person(VerificationRule::Always, 0);
    let limits = KeyLimits {
        currency: Currency::CNY,
        single_minor: 1_000,
        total_minor: 1_000,
        foreign_uses: 0,
    };
    life.give_verified_keys(3, Some(limits), 5);
    let mut keys = Vec::new();
    for number in 1..=3 {
        verify(&life, Purpose::Payment(yuan(600))).unwrap();
        keys.push(life.pay_amount(number, 600).unwrap().iad[8..].to_vec());
        life.run(life.wallet.settled()).unwrap();
    }
    keys.dedup();
    assert_eq!(keys.len(), 3, "one payment of 600 is all that each allows");
    verify(&life, Purpose::Payment(yuan(401))).unwrap_err();
    verify(&life, Purpose::Payment(yuan(400))).unwrap();
}

#[test]
fn who_is_set_up_anew_gets_keys_of_their_own() {
    let (phone, life) = phone_of_a_person(VerificationRule::Always, 3);
    // Every way in is lost: the PIN was tried too often.
    for _ in 0..10 {
        let wrong = Zeroizing::new("905172".to_owned());
        drop(life.run(life.wallet.verify_with_pin(wrong, Purpose::Access)));
        phone.clocks.pass(3_600_000);
    }
    let pin = Zeroizing::new(PIN.to_owned());
    life.run(life.wallet.set_pin(pin, None)).unwrap();
    assert!(matches!(
        verify(&life, Purpose::Payment(yuan(100))),
        Err(WalletError::NoVerifiedKeys)
    ));
    let opened = life.wallet.opened().unwrap();
    let known = opened.known();
    let state = &known.state.tokens[&TokenRef::new("tok_1")];
    assert_eq!(
        state.keys.uses_left(opened.time_ms(), true),
        0,
        "so that new ones are asked for"
    );
}

#[test]
fn a_card_that_is_taken_away_is_not_the_one_that_pays_alone() {
    let phone = Phone::new();
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    let (own, other) = (TokenRef::new("tok_1"), TokenRef::new("tok_2"));
    life.give_card(other.clone(), b"FEDCBA9876543210", None, 500, 10);
    life.run(life.wallet.arm()).unwrap();
    life.configure(asking(VerificationRule::Never));
    life.run(life.wallet.use_card_next(Some(other.clone())))
        .unwrap();
    assert_eq!(life.pay(1), Ok(500));
    life.run(life.wallet.use_card_next(Some(other.clone())))
        .unwrap();
    life.run(life.wallet.suspend_card(&other)).unwrap();
    assert_eq!(life.pay(2), Ok(1), "the others are shown again");
    let suspended = life.run(life.wallet.use_card_next(Some(other)));
    assert!(matches!(suspended, Err(WalletError::NoSuchCard)));
    life.run(life.wallet.use_card_next(Some(own))).unwrap();
}

#[test]
fn the_chosen_card_pays_alone_until_the_reader_has_had_its_chance_to_come_back() {
    let phone = Phone::new();
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    let other = TokenRef::new("tok_2");
    life.give_card(other.clone(), b"FEDCBA9876543210", None, 500, 10);
    life.run(life.wallet.arm()).unwrap();
    let patient = |grace_ms| Policy {
        deactivation_grace_ms: grace_ms,
        ..Policy::default()
    };
    life.configure(patient(3_600_000));
    let next = life.wallet.use_card_next(Some(other));
    life.run(next).unwrap();
    assert_eq!(life.pay(1), Ok(500));
    for record in ["00B2010C00", "00B2020C00"] {
        assert_eq!(status(&life.send(record)), Ok(()));
    }
    // The very last answer was lost: the reader begins anew, and gets the answer of the same card.
    assert_eq!(life.pay(1), Ok(500));
    for record in ["00B2010C00", "00B2020C00"] {
        assert_eq!(status(&life.send(record)), Ok(()));
    }
    // The phone sleeps through the grace, which no timer notices.
    life.wallet.deactivated();
    phone.clocks.pass(3_600_000);
    assert_eq!(life.pay(2), Ok(1), "the next tap shows all cards again");
}

#[test]
fn a_wipe_forgets_which_card_was_to_pay_alone() {
    let phone = Phone::new();
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    let own = TokenRef::new("tok_1");
    life.run(life.wallet.use_card_next(Some(own))).unwrap();
    life.run(life.wallet.wipe()).unwrap();
    life.run(life.wallet.start()).unwrap();
    let anew = TokenRef::new("tok_2");
    life.give_card(anew, b"FEDCBA9876543210", None, 500, 10);
    life.run(life.wallet.arm()).unwrap();
    assert_eq!(life.pay(1), Ok(500));
}

#[test]
fn keys_are_asked_for_by_each_card_and_each_kind() {
    let phone = Phone::new();
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    life.configure(Policy::default());
    let runs_low = || life.run(life.wallet.runs_low()).unwrap();
    assert!(!runs_low());
    // A full card beside an empty one does not hide it.
    let empty = TokenRef::new("tok_2");
    life.give_card(empty.clone(), b"FEDCBA9876543210", None, 1, 4);
    assert!(runs_low());
    life.run(life.wallet.suspend_card(&empty)).unwrap();
    assert!(!runs_low(), "nobody needs keys for what does not pay");
    // Who is known to the phone needs keys of their own.
    let pin = Zeroizing::new(PIN.to_owned());
    life.run(life.wallet.set_pin(pin, None)).unwrap();
    assert!(runs_low());
    life.give_verified_keys(5, None, 1);
    assert!(!runs_low());
}
