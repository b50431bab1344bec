//! Cardholder verification: asked for by the terminal or not, done by the phone or not.

use crate::common::{ScriptedCard, all_schemes, terminal_asking};
use crate::kernel::{online, reason};
use sandbox_terminal::apdu::Stop;
use sandbox_terminal::entry;
use sandbox_terminal::kernel::Outcome;

fn pay_with_cvm(card: &mut ScriptedCard) -> Result<Outcome, Stop> {
    entry::pay(card, &terminal_asking(false, true), &all_schemes())
}

#[test]
fn the_qualifiers_ask_and_the_card_s_decide() {
    let (unionpay, visa) = (ScriptedCard::online, ScriptedCard::visa);
    for card in [unionpay(), visa()] {
        let mut verified = card.with("9F6C", "0080");
        assert!(online(pay_with_cvm(&mut verified)).verified_on_device);
    }
    for (mut card, expected) in [
        (unionpay(), "cvm_not_done"),
        (unionpay().with("9F6C", "8000"), "cvm_not_possible"),
        (visa().with("9F6C", "0000"), "cvm_not_done"),
        (visa(), "cvm_not_possible"),
        // Kernel 3 was not told that this terminal takes signatures.
        (visa().with("9F6C", "4000"), "cvm_not_done"),
    ] {
        assert_eq!(reason(pay_with_cvm(&mut card)), expected);
    }
    let mut signing = unionpay().with("9F6C", "4000");
    let cryptogram = online(pay_with_cvm(&mut signing));
    assert!(cryptogram.signature_wanted);
    assert_eq!(cryptogram.emv["9F66"], "66C00000");
    let mut visa = visa().with("9F6C", "2080");
    assert_eq!(online(pay_with_cvm(&mut visa)).emv["9F66"], "20C04000");
}

#[test]
fn kernel_2_tells_the_card_what_came_of_it() {
    let mut verified = ScriptedCard::mastercard().with_cryptogram("DF4B", "001000");
    let cryptogram = online(pay_with_cvm(&mut verified));
    assert!(cryptogram.verified_on_device);
    assert_eq!(cryptogram.emv["9F34"], "010002");

    let mut unverified = ScriptedCard::mastercard();
    assert_eq!(reason(pay_with_cvm(&mut unverified)), "cvm_not_done");
    let mut asking = ScriptedCard::mastercard()
        .with_cryptogram("9F27", "00")
        .with_cryptogram("DF4B", "000100");
    assert_eq!(reason(pay_with_cvm(&mut asking)), "see_phone");
    // Without verification on the device somebody would have to type a PIN.
    let mut no_device = ScriptedCard::mastercard().with("82", "1980");
    assert_eq!(reason(pay_with_cvm(&mut no_device)), "cvm_not_possible");
    // When nobody asks, such a card is told that none is required.
    let outcome = entry::pay(
        &mut no_device,
        &terminal_asking(false, false),
        &all_schemes(),
    );
    assert_eq!(online(outcome).emv["9F34"], "1F0302");
}
