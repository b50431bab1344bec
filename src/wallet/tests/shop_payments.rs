//! Payments by a shop's code over lost answers: what is the same payment, and what is another.

use super::codes::phone_with;
use super::phone::{Life, NOON_MS};
use crate::account::{Currency, Money};
use crate::token::TokenRef;
use crate::wallet::code::{Known, Sent};

fn wish(minor: i64, key: &str) -> Sent {
    let money = Money {
        minor,
        currency: Currency::CNY,
    };
    let code = "a shop's code".to_owned();
    Sent::new(code, TokenRef::new("tok_1"), money, key.to_owned())
}

/// Under which key the payment of an offer is sent.
fn send(life: &Life, minor: i64, key: &str) -> String {
    life.run(life.wallet.sending(wish(minor, key))).unwrap().key
}

fn note(life: &Life, key: &str, known: Known) {
    life.run(life.wallet.note_sent(key.to_owned(), known))
        .unwrap();
}

#[test]
fn s39_a_payment_without_an_answer_is_sent_again_as_it_was() {
    let (phone, life) = phone_with(0);
    let first = life.run(life.wallet.sending(wish(800, "first"))).unwrap();
    assert_eq!((first.key.as_str(), first.at_ms), ("first", NOON_MS));
    assert_eq!(send(&life, 900, "other sum"), "other sum");
    life.kill(&phone);
    let life = phone.live();
    life.run(life.wallet.open()).unwrap();
    assert_eq!(send(&life, 800, "second"), "first");
    // Who pays it again much later has bought again.
    phone.clocks.pass(600_000);
    assert_eq!(send(&life, 800, "third"), "third");
}

#[test]
fn s39_an_offer_is_answered_by_one_payment_for_good() {
    let (_phone, life) = phone_with(0);
    send(&life, 800, "first");
    assert_eq!(send(&life, 800, "second"), "first");
    note(&life, "first", Known::Decided);
    // Its answer was lost on the way to the screen: it is the same.
    assert_eq!(send(&life, 800, "second"), "first");
    // The next purchase is another.
    assert_eq!(send(&life, 800, "third"), "third");
}

#[test]
fn a_payment_that_was_confirmed_is_not_the_next_purchase() {
    let (_phone, life) = phone_with(0);
    send(&life, 120_000, "first");
    note(&life, "first", Known::Pending("cpy_1".to_owned()));
    assert_eq!(send(&life, 120_000, "read again"), "first");
    life.run(life.wallet.note_decided("cpy_1".to_owned()))
        .unwrap();
    assert_eq!(send(&life, 120_000, "next"), "next");
}

#[test]
fn a_payment_that_came_to_nothing_is_asked_for_anew() {
    let (_phone, life) = phone_with(0);
    send(&life, 800, "first");
    assert_eq!(send(&life, 800, "second"), "first");
    note(&life, "first", Known::Refused);
    assert_eq!(send(&life, 800, "second"), "second");
}
