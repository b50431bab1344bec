//! The payment password: set, used, changed, forgotten, locked.

use crate::common::{EXPIRY, Ended, Phone, Sandbox};

const PASSWORD: &str = "correct horse";
const WRONG: &str = "battery staple";

fn with_password(sandbox: &Sandbox) -> Phone {
    let phone = Phone::with_card(sandbox);
    phone
        .run(&["password", "set", "--password", PASSWORD])
        .exits(0);
    phone
}

fn confirm(phone: &Phone, password: &str) -> Ended {
    let words = [
        "confirm",
        "--amount",
        "12.50",
        "--payee",
        "Mapo",
        "--json",
        "--password",
    ];
    phone.run(&[&words[..], &[password]].concat())
}

/// The tries that are left, as a wrong password is told them.
fn tries_left(wrong: &Ended) -> u64 {
    let number = wrong.err.rsplit(' ').next().unwrap().trim();
    number.parse().unwrap_or_else(|_| panic!("{wrong:?}"))
}

fn forgot(phone: &Phone, more: &[&str]) -> Ended {
    let words = [
        "password",
        "forgot",
        "--number",
        &phone.number,
        "--expiry",
        EXPIRY,
    ];
    phone.run(&[&words[..], more].concat())
}

#[test]
fn a_password_confirms_payments_and_is_changed_by_whoever_knows_it() {
    let sandbox = Sandbox::shared();
    let phone = Phone::enrolled(&sandbox);
    confirm(&phone, PASSWORD).exits(3);
    phone
        .run(&["password", "set", "--password", "short"])
        .says(1, &["6 to 64"]);
    phone
        .run(&["password", "set", "--password", PASSWORD])
        .exits(0);
    let confirmed = confirm(&phone, PASSWORD).exits(0).json();
    assert_eq!(confirmed["amount_minor"], 1250);
    phone
        .run(&["password", "set", "--password", WRONG])
        .exits(3);
    let change = |old, new| phone.run(&["password", "change", "--old", old, "--password", new]);
    change(WRONG, "another one").says(1, &["password is wrong"]);
    change(PASSWORD, "another one").exits(0);
    let wrong = confirm(&phone, PASSWORD).tells(1, &["password is wrong"]);
    assert_eq!(wrong["reason"], "password_wrong");
    confirm(&phone, "another one").exits(0);
    // Typed, the old one first.
    let typed = phone.run_typing(&["password", "change"], "another one\ncorrect horse\n");
    let typed = typed.exits(0);
    assert!(!(typed.out + &typed.err).contains("horse"));
    let words = ["confirm", "--amount", "1", "--payee", "Typed", "--password"];
    phone.run_typing(&words, "correct horse\n").exits(0);
}

#[test]
fn a_right_password_gives_all_tries_back() {
    let sandbox = Sandbox::shared();
    let phone = with_password(&sandbox);
    let first = tries_left(&confirm(&phone, WRONG).exits(1));
    assert_eq!(tries_left(&confirm(&phone, WRONG).exits(1)), first - 1);
    confirm(&phone, PASSWORD).exits(0);
    assert_eq!(tries_left(&confirm(&phone, WRONG).exits(1)), first);
}

#[test]
fn a_forgotten_password_is_reset_by_a_code_from_the_bank() {
    let sandbox = Sandbox::shared();
    let phone = with_password(&sandbox);
    let begun = forgot(&phone, &["--password", "brand new"]).exits(1);
    assert!(begun.err.contains("--sms"), "{begun:?}");
    let code = sandbox.sms(&phone.number);
    let wrong = if code == "000000" { "000001" } else { "000000" };
    forgot(&phone, &["--password", "brand new", "--sms", wrong]).says(3, &["not the code"]);
    confirm(&phone, PASSWORD).exits(0);
    forgot(&phone, &["--password", "brand new", "--sms", &code]).exits(0);
    let wrong = confirm(&phone, PASSWORD).tells(1, &["password is wrong"]);
    assert_eq!(wrong["reason"], "password_wrong");
    confirm(&phone, "brand new").exits(0);
    forgot(&phone, &["--password", WRONG, "--sms", &code]).says(1, &["no code is awaited"]);
    // The card of somebody else opens nothing.
    let other = Phone::with_card(&sandbox);
    let words = [
        "password",
        "forgot",
        "--number",
        &other.number,
        "--expiry",
        EXPIRY,
    ];
    phone.run(&words).exits(3);
}

#[test]
fn code_and_new_password_may_be_typed() {
    let sandbox = Sandbox::shared();
    let phone = with_password(&sandbox);
    let number = phone.number.clone();
    let words = [
        "password", "forgot", "--number", &number, "--expiry", EXPIRY,
    ];
    let mut forgetting = phone.start(&words);
    let code = sandbox.sms(&number);
    forgetting.type_in(&format!("{code}\nbrand new\n"));
    let ended = forgetting.end().exits(0);
    assert!(!(ended.out + &ended.err).contains("brand new"));
    confirm(&phone, "brand new").exits(0);
}

#[test]
fn s32_tries_of_the_payment_password_survive_enrolling_again() {
    let sandbox = Sandbox::shared();
    let phone = with_password(&sandbox);
    let link = phone.link(&[]);
    let before = tries_left(&confirm(&phone, WRONG).exits(1));
    std::fs::remove_dir_all(phone.data()).unwrap();
    std::fs::remove_dir_all(phone.platform()).unwrap();
    phone.join(sandbox.provider(), &sandbox, &link).exits(0);
    let mut left = tries_left(&confirm(&phone, WRONG).exits(1));
    assert_eq!(left, before - 1);
    while left > 0 {
        left = tries_left(&confirm(&phone, WRONG).exits(1));
    }
    // Locked for the right one as well, on every phone of the person.
    confirm(&phone, PASSWORD).exits(3);
    let second = phone.beside_this(&sandbox);
    confirm(&second, PASSWORD).exits(3);
    // A card of the person leads back.
    phone.add_card(&sandbox);
    forgot(&phone, &["--password", "brand new"]).exits(1);
    let code = sandbox.sms(&phone.number);
    forgot(&phone, &["--password", "brand new", "--sms", &code]).exits(0);
    confirm(&second, "brand new").exits(0);
}
