//! Codes on the screen of a phone without a network.

use std::sync::atomic::Ordering;

use zeroize::Zeroizing;

use super::phone::{Life, NOON_MS, Phone, PhoneKeys};
use crate::backend::protocol::Policy;
use crate::code::numeric::{code_key, encode, parse};
use crate::code::steps::{ClockUnsure, ProviderClock};
use crate::code::{Alias, CodeFormat, CodePolicy};
use crate::risk::RiskSignals;
use crate::secret::Secret;
use crate::store::StoreError;
use crate::token::TokenRef;
use crate::vault::VaultError;
use crate::wallet::arm::retire_older;
use crate::wallet::code::{CodeBook, RECORD};
use crate::wallet::{
    Clock, CodeEnd, CodeKind, CodeRefusal, CodeShown, CodeState, Purpose, WalletError,
};

const PIN: &str = "194917";
const SEED: [u8; 32] = *b"a seed of thirty-two test bytes.";
const DAY: i64 = 86_400_000;

fn token() -> TokenRef {
    TokenRef::new("tok_1")
}

pub(super) fn alias(number: u32) -> Alias {
    format!("{number:010}").try_into().unwrap()
}

/// A phone that was given so many aliases at noon, and is offline since.
pub(super) fn phone_with(aliases: u32) -> (Phone, Life) {
    let phone = Phone::new();
    let life = phone.live();
    life.run(life.wallet.open()).unwrap();
    stock(&phone, &life, 0..aliases);
    (phone, life)
}

pub(super) fn stock(phone: &Phone, life: &Life, aliases: std::ops::Range<u32>) {
    stock_under(Secret::new(SEED), token(), phone, life, aliases);
}

/// The same under a seed of the caller's, for that card.
pub(super) fn stock_under(
    seed: Secret<32>,
    card: TokenRef,
    phone: &Phone,
    life: &Life,
    aliases: std::ops::Range<u32>,
) {
    let policy = Policy {
        codes: Some(CodePolicy::default()),
        ..Policy::default()
    };
    life.configure(policy);
    let now = phone.clocks.now();
    let ends_ms = now.wall_ms + 7 * DAY;
    let clock = ProviderClock::new(now.wall_ms, &now);
    let given = life.wallet.with_keys(move |_, opened| {
        let arming = opened.arming()?;
        let batch = aliases.map(|number| (card.clone(), alias(number), ends_ms));
        let book = CodeBook::stocked(&arming, &seed, clock, batch)?;
        let ((), record) = opened.commit(arming, |tx| Ok(tx.set_guarded(RECORD, Some(&book))?))?;
        retire_older(opened, &record)
    });
    life.run(given).unwrap();
}

fn show(life: &Life, kind: CodeKind) -> Result<CodeShown, WalletError> {
    let view = life.run(life.wallet.show_code(kind, None, None))?;
    let shown = view.now();
    view.detach();
    Ok(shown)
}

fn refusal(shown: Result<CodeShown, WalletError>) -> CodeRefusal {
    match shown {
        Err(WalletError::Code(refusal)) => refusal,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("a code was shown"),
    }
}

/// The alias of a code.
fn shown_alias(code: &str) -> Alias {
    parse(&CodeFormat::default(), code).unwrap().alias
}

fn expected(alias: &Alias, step: u64) -> String {
    let key = code_key(&Secret::new(SEED), alias).unwrap();
    let code = encode(&CodeFormat::default(), &key, alias, step).unwrap();
    code.digits().to_owned()
}

#[test]
fn codes_are_shown_without_a_network_until_none_is_left() {
    let (_phone, life) = phone_with(3);
    let mut seen = Vec::new();
    for left in [2, 1, 0] {
        let shown = show(&life, CodeKind::Numeric).unwrap();
        assert_eq!((shown.code.len(), shown.offline_left), (18, left));
        assert_eq!(shown.seconds_left, 30);
        assert_eq!(shown.digits, format!("{}••••••••••••••", &shown.code[..4]));
        assert!(shown.runs_low, "fewer than five");
        seen.push(shown_alias(&shown.code));
    }
    assert_eq!(seen, [alias(0), alias(1), alias(2)]);
    assert_eq!(
        refusal(show(&life, CodeKind::Numeric)),
        CodeRefusal::NoneLeft
    );
    let status = life.run(life.wallet.status()).unwrap();
    assert_eq!(status.codes_left, 0);
}

#[test]
fn the_code_changes_with_the_step_and_the_alias_stays() {
    let (phone, life) = phone_with(1);
    let view = life.run(life.wallet.show_code(CodeKind::Numeric, None, None));
    let view = view.unwrap();
    let step = u64::try_from(NOON_MS / 30_000).unwrap();
    let first = life.run(view.next()).unwrap();
    assert_eq!(first.code, expected(&alias(0), step));
    phone.clocks.pass(29_000);
    let last_second = life.run(view.next()).unwrap();
    assert_eq!(
        (last_second.code, last_second.seconds_left),
        (first.code, 1)
    );
    phone.clocks.pass(1_000);
    let second = life.run(view.next()).unwrap();
    assert_eq!(second.code, expected(&alias(0), step + 1));
    // Setting the clock changes nothing.
    phone.clocks.set(NOON_MS + 20 * DAY);
    assert_eq!(view.now().code, second.code);
    life.run(view.close());
    let over = life.run(view.next()).unwrap();
    assert_eq!(over.state, CodeState::Ended(CodeEnd::Closed));
    assert!(over.code.is_empty() && over.digits.is_empty());
    assert_eq!(life.run(view.next()), None);
}

#[test]
fn an_alias_that_was_seen_is_never_shown_again() {
    let (phone, mut life) = phone_with(15);
    let mut seen = Vec::new();
    for _ in 0..15 {
        seen.push(shown_alias(&show(&life, CodeKind::Numeric).unwrap().code));
        life.kill(&phone);
        life = phone.live();
        life.run(life.wallet.open()).unwrap();
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 15);
    assert_eq!(
        refusal(show(&life, CodeKind::Numeric)),
        CodeRefusal::NoneLeft
    );
}

#[test]
fn a_new_view_ends_the_one_before() {
    let (_phone, life) = phone_with(2);
    let open = || {
        let view = life.wallet.show_code(CodeKind::Numeric, None, None);
        life.run(view).unwrap()
    };
    let (first, second) = (open(), open());
    assert_eq!(first.now().state, CodeState::Ended(CodeEnd::Closed));
    assert_eq!(second.now().state, CodeState::Showing);
    drop(first);
    assert_eq!(second.now().state, CodeState::Showing);
}

#[test]
fn uncovered_digits_are_another_codes_and_need_the_person() {
    let (_phone, life) = phone_with(4);
    let pin = || Zeroizing::new(PIN.to_owned());
    life.run(life.wallet.set_pin(pin(), None)).unwrap();
    let view = life.run(life.wallet.show_code(CodeKind::Numeric, None, None));
    let view = view.unwrap();
    let masked = view.now();
    let nobody = life.run(view.reveal("nobody".into()));
    assert!(matches!(nobody, Err(WalletError::NotVerified)));
    assert_eq!(view.now(), masked, "nothing has happened");
    let verify = || {
        let verified = life.wallet.verify_with_pin(pin(), Purpose::Access);
        life.run(verified).unwrap()
    };
    life.run(view.reveal(verify())).unwrap();
    let clear = view.now();
    assert!(clear.revealed && clear.digits == clear.code);
    assert_ne!(shown_alias(&clear.code), shown_alias(&masked.code));
    // A screenshot ends it, and the next one needs the person.
    life.run(view.photographed());
    let over = view.now();
    assert_eq!(over.state, CodeState::Ended(CodeEnd::Photographed));
    assert!(over.code.is_empty());
    let next = life.run(view.renew(None));
    assert!(matches!(next, Err(WalletError::NotVerified)));
    let elsewhere = life.wallet.show_code(CodeKind::Numeric, None, None);
    assert!(matches!(life.run(elsewhere), Err(WalletError::NotVerified)));
    life.run(view.renew(Some(verify()))).unwrap();
    let fresh = view.now();
    assert!(!fresh.revealed && fresh.digits != fresh.code);
    assert_ne!(shown_alias(&fresh.code), shown_alias(&clear.code));
}

#[test]
fn s15_a_locked_wallet_shows_no_code() {
    let (_phone, life) = phone_with(4);
    let pin = Zeroizing::new(PIN.to_owned());
    life.run(life.wallet.set_pin(pin, None)).unwrap();
    let view = life.run(life.wallet.show_code(CodeKind::Numeric, None, None));
    let view = view.unwrap();
    life.run(life.wallet.lock()).unwrap();
    assert_eq!(view.now().state, CodeState::Ended(CodeEnd::Closed));
    let locked = show(&life, CodeKind::Numeric);
    assert!(matches!(
        locked,
        Err(WalletError::Vault(VaultError::Locked))
    ));
}

#[test]
fn s29_no_codes_of_days_to_come() {
    let (phone, life) = phone_with(9);
    // Three days without contact, and a moment more.
    phone.clocks.pass(3 * DAY + 1);
    let late = refusal(show(&life, CodeKind::Numeric));
    assert_eq!(late, CodeRefusal::Clock(ClockUnsure::TooOld));
    phone.clocks.pass(-DAY);
    // Whoever sets the clock ahead and starts the phone again gets no further than a day.
    phone.clocks.set(NOON_MS + 5 * DAY);
    phone.clocks.reboot();
    let ahead = refusal(show(&life, CodeKind::Numeric));
    assert_eq!(ahead, CodeRefusal::Clock(ClockUnsure::SetAhead));
    phone.clocks.set(NOON_MS + 5 * 3_600_000);
    let code = show(&life, CodeKind::Numeric).unwrap().code;
    let step = u64::try_from((NOON_MS + 5 * 3_600_000) / 30_000).unwrap();
    assert_eq!(code, expected(&alias(0), step));
    // Set back behind what was shown, after another start.
    phone.clocks.set(NOON_MS);
    phone.clocks.reboot();
    let back = refusal(show(&life, CodeKind::Numeric));
    assert_eq!(back, CodeRefusal::Clock(ClockUnsure::SetBack));
}

#[test]
fn s12_an_older_record_of_codes_put_back_is_noticed() {
    let (_phone, life) = phone_with(4);
    let opened = life.wallet.opened().unwrap();
    let before = opened.vault.read(|tx| tx.sealed_record(RECORD)).unwrap();
    show(&life, CodeKind::Numeric).unwrap();
    let put_back: Result<(), StoreError> = opened
        .vault
        .write(|tx| tx.put_sealed_record(RECORD, &before));
    put_back.unwrap();
    drop(opened);
    let shown = show(&life, CodeKind::Numeric);
    assert!(
        matches!(shown, Err(WalletError::Vault(VaultError::RolledBack))),
        "{shown:?}"
    );
}

#[test]
fn without_codes_the_sentence_says_what_to_do() {
    let phone = Phone::new();
    let life = phone.live();
    life.run(life.wallet.open()).unwrap();
    assert_eq!(
        refusal(show(&life, CodeKind::Numeric)),
        CodeRefusal::NotOffered
    );
    life.configure(Policy {
        codes: Some(CodePolicy::default()),
        ..Policy::default()
    });
    assert_eq!(
        refusal(show(&life, CodeKind::Numeric)),
        CodeRefusal::NeverFetched
    );
    let other = Some(TokenRef::new("tok_2"));
    stock(&phone, &life, 0..2);
    let unknown = life.run(life.wallet.show_code(CodeKind::Numeric, other, None));
    assert!(matches!(unknown, Err(WalletError::NoSuchCard)));
    life.run(life.wallet.close()).unwrap();
    let closed = life.run(life.wallet.show_code(CodeKind::Numeric, None, None));
    assert!(matches!(closed, Err(WalletError::NotStarted)));
}

/// Counts the syncs of the disk, and the calls of the key store. One commit in WAL mode with `synchronous=FULL` syncs the log once; the database itself is
/// synced only when the log is taken over into it, which no showing waits for. A step of time, a look and a closed view
/// change nothing that must last.
#[test]
fn a_showing_syncs_the_disk_once() {
    let folder = tempfile::tempdir().unwrap();
    let disk = fault_vfs::Disk::at(folder.path());
    let phone = Phone::with(PhoneKeys {
        key_store: None,
        luk: b"0123456789ABCDEF",
        oda: None,
        next_atc: 1,
        folder: Some(folder.path().to_owned()),
    });
    let life = phone.live();
    life.run(life.wallet.open()).unwrap();
    stock(&phone, &life, 0..15);
    for kind in [CodeKind::Numeric, CodeKind::ConsumerPresented] {
        let before = disk.counts().syncs;
        let asked = phone.hardware.calls.load(Ordering::SeqCst);
        for _ in 0..4 {
            let view = life.run(life.wallet.show_code(kind, None, None)).unwrap();
            let durable = disk.counts().syncs;
            assert_eq!(view.now().state, CodeState::Showing);
            if kind == CodeKind::Numeric {
                phone.clocks.pass(30_000);
                assert_eq!(view.now().state, CodeState::Showing);
                life.run(view.close());
                assert_eq!(
                    disk.counts().syncs,
                    durable,
                    "nothing but the showing itself"
                );
            }
        }
        // The cryptograms that were seen go into the journal behind it: a commit each, for which nobody waits.
        life.run(life.wallet.settled()).unwrap();
        let behind = match kind {
            CodeKind::Numeric => 0,
            CodeKind::ConsumerPresented => 4,
        };
        assert_eq!(disk.counts().syncs - before, 4 + behind, "{kind:?}");
        let asked = phone.hardware.calls.load(Ordering::SeqCst) - asked;
        assert_eq!(asked, 4 * 7, "{kind:?}: calls of the key store");
    }
}

/// What was given back with a showing is written down with it: a key store that then will not delete the older key must
/// not have it given back once more.
#[test]
fn s26_uses_are_given_back_once_whatever_the_key_store_does() {
    let (phone, life) = phone_with(9);
    let view = life.run(
        life.wallet
            .show_code(CodeKind::ConsumerPresented, None, None),
    );
    assert_eq!(view.as_ref().unwrap().now().state, CodeState::Showing);
    // Four of the five come back with the next commit.
    life.run(view.unwrap().close());
    for calls in 1..12 {
        phone.hardware.fails_from(calls);
        drop(show(&life, CodeKind::Numeric));
        phone.hardware.fail_in(u64::MAX);
    }
    life.run(life.wallet.start()).unwrap();
    assert!(life.pay(1).is_ok());
    life.run(life.wallet.close()).unwrap();
    let life = phone.live();
    life.run(life.wallet.open()).unwrap();
    let opened = life.wallet.opened().unwrap();
    let left = opened.known().state.tokens[&token()]
        .keys
        .uses_left(NOON_MS, false);
    assert!(left <= 1_000 - 2, "{left} left after two were used");
}

#[test]
fn s34_a_suspended_card_s_code_leaves_the_screen() {
    let (_phone, life) = phone_with(2);
    let view = life.run(life.wallet.show_code(CodeKind::Numeric, None, None));
    let view = view.unwrap();
    life.run(life.wallet.suspend_card(&token())).unwrap();
    let over = view.now();
    assert_eq!(over.state, CodeState::Ended(CodeEnd::Closed));
    assert!(over.code.is_empty());
}

#[test]
fn s41_an_unsafe_phone_shows_no_code() {
    let (_phone, life) = phone_with(2);
    let view = life.run(life.wallet.show_code(CodeKind::Numeric, None, None));
    let view = view.unwrap();
    assert_eq!(view.now().state, CodeState::Showing);
    life.wallet.report_risk(RiskSignals {
        rooted: true,
        ..RiskSignals::default()
    });
    assert_eq!(view.now().state, CodeState::Refused(CodeRefusal::Unsafe));
    assert_eq!(refusal(show(&life, CodeKind::Numeric)), CodeRefusal::Unsafe);
}

#[test]
fn a_photographed_code_asks_for_the_person_after_a_start_of_the_app_too() {
    let (phone, life) = phone_with(3);
    let pin = Zeroizing::new(PIN.to_owned());
    life.run(life.wallet.set_pin(pin, None)).unwrap();
    let view = life.run(life.wallet.show_code(CodeKind::Numeric, None, None));
    life.run(view.unwrap().photographed());
    life.kill(&phone);
    let life = phone.live();
    life.run(life.wallet.open()).unwrap();
    assert!(matches!(
        show(&life, CodeKind::Numeric),
        Err(WalletError::NotVerified)
    ));
}

#[test]
fn aliases_of_another_length_are_spent_when_the_provider_changes_its_format() {
    let (_phone, life) = phone_with(3);
    life.configure(Policy {
        codes: Some(CodePolicy {
            format: CodeFormat::new("73", 12, 6, false).unwrap(),
            ..CodePolicy::default()
        }),
        ..Policy::default()
    });
    assert_eq!(
        refusal(show(&life, CodeKind::Numeric)),
        CodeRefusal::NoneLeft
    );
}

#[test]
fn a_view_that_is_closed_while_it_is_renewed_stays_closed() {
    let (phone, life) = phone_with(9);
    let view = life.run(life.wallet.show_code(CodeKind::Numeric, None, None));
    let view = view.unwrap();
    // The key store keeps the renewal waiting while the view is closed.
    phone.hardware.hold_next();
    let renewed = {
        let view = std::sync::Arc::clone(&view);
        life.runtime.spawn(async move { view.renew(None).await })
    };
    phone.hardware.is_held();
    life.run(view.close());
    phone.hardware.let_go();
    life.run(renewed).unwrap().unwrap();
    assert_eq!(view.now().state, CodeState::Ended(CodeEnd::Closed));
    let status = life.run(life.wallet.status()).unwrap();
    assert_eq!(status.codes_left, 7, "the second alias is spent");
}
