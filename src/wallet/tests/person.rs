//! The person at the phone: PIN and fingerprint, lock and unlock, under kills, clocks and copies put back.

use std::sync::atomic::Ordering;

use zeroize::Zeroizing;

use super::phone::{Life, NOON_MS, Phone};
use crate::account::{Currency, Money};
use crate::vault::{KeyStoreError, VaultError};
use crate::wallet::{PromptOutcome, Proof, Purpose, TapRefusal, VerificationRequest, WalletError};

const PIN: &str = "194917";
const WRONG: &str = "271828";

fn pin(digits: &str) -> Zeroizing<String> {
    Zeroizing::new(digits.to_owned())
}

fn by_pin(digits: &str) -> Proof {
    Proof::Pin(pin(digits))
}

fn money(minor: i64) -> Money {
    Money {
        minor,
        currency: Currency::CNY,
    }
}

/// A started wallet with a PIN.
fn with_pin(phone: &Phone) -> Life {
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    life.run(life.wallet.set_pin(pin(PIN), None)).unwrap();
    life
}

/// What the shell does inside its prompt.
fn prompt(phone: &Phone, request: &VerificationRequest) -> PromptOutcome {
    use crate::vault::PlatformKeyStore;
    match phone.hardware.unwrap(&request.alias, &request.wrapped) {
        Ok(key) => PromptOutcome::Unwrapped(Zeroizing::new(key)),
        Err(_) => PromptOutcome::Invalidated,
    }
}

fn verified(phone: &Phone, life: &Life, purpose: Purpose) -> String {
    let request = life.run(life.wallet.begin_verification(purpose)).unwrap();
    let outcome = prompt(phone, &request);
    life.run(life.wallet.finish_verification(&request.id, outcome))
        .unwrap();
    request.id
}

#[test]
fn a_locked_wallet_pays_nothing_until_the_pin_opens_it() {
    let phone = Phone::new();
    let life = with_pin(&phone);
    assert_eq!(life.pay(1), Ok(1));
    life.run(life.wallet.lock()).unwrap();
    assert_eq!(life.pay(2), Err(0x6985));
    let status = life.run(life.wallet.status()).unwrap();
    assert_eq!(status.refusal, Some(TapRefusal::Locked));
    life.kill(&phone);

    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    assert_eq!(life.pay(3), Err(0x6985), "a new process is no way around");
    let wrong = life.run(life.wallet.unlock(by_pin(WRONG)));
    assert!(matches!(wrong, Err(WalletError::PinWrong(9))), "{wrong:?}");
    life.run(life.wallet.unlock(by_pin(PIN))).unwrap();
    let atc = life.pay(4).unwrap();
    assert!(atc > 1);
    life.run(life.wallet.close()).unwrap();
}

#[test]
fn a_lock_without_a_key_to_open_it_is_refused() {
    let phone = Phone::new();
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    let locked = life.run(life.wallet.lock());
    assert!(matches!(locked, Err(WalletError::NoPerson)));
    assert_eq!(life.pay(1), Ok(1));
}

#[test]
fn s32_wrong_pins_cost_tries_and_time_over_kills_clocks_and_boots() {
    let phone = Phone::new();
    let mut life = with_pin(&phone);
    for left in [9, 8, 7] {
        let wrong = life.run(life.wallet.unlock(by_pin(WRONG)));
        assert!(matches!(wrong, Err(WalletError::PinWrong(n)) if n == left));
        life.kill(&phone);
        life = phone.live();
        life.run(life.wallet.start()).unwrap();
    }
    let waits = |life: &Life| match life.run(life.wallet.unlock(by_pin(PIN))) {
        Err(WalletError::PinWait(seconds)) => seconds,
        other => panic!("{other:?}"),
    };
    assert_eq!(waits(&life), 30);
    phone.clocks.set(NOON_MS + 86_400_000);
    assert_eq!(waits(&life), 30, "setting the clock ahead gains nothing");
    phone.clocks.set(NOON_MS);
    phone.clocks.pass(29_000);
    assert_eq!(waits(&life), 1);
    phone.clocks.reboot();
    assert_eq!(waits(&life), 30, "nobody knows how long the phone was off");
    phone.clocks.pass(30_000);
    life.run(life.wallet.unlock(by_pin(PIN))).unwrap();
    let status = life.run(life.wallet.status()).unwrap();
    assert_eq!(
        status.person.pin_tries_left,
        Some(10),
        "a right PIN forgives"
    );
}

#[test]
fn s32_a_try_is_spent_before_the_pin_is_looked_at() {
    let phone = Phone::new();
    let life = with_pin(&phone);
    // The key store fails where the pepper is to be unwrapped: behind the commit that spends the try.
    let mut spent = false;
    for failing in 1..30 {
        phone.hardware.fail_in(failing);
        let tried = life.run(life.wallet.unlock(by_pin(WRONG)));
        phone.hardware.fail_in(0);
        let left = life
            .run(life.wallet.status())
            .unwrap()
            .person
            .pin_tries_left;
        spent |=
            matches!(tried, Err(WalletError::Vault(VaultError::KeyStore(_)))) && left < Some(10);
        phone.clocks.pass(3_600_000);
        if life.run(life.wallet.unlock(by_pin(PIN))).is_err() {
            break;
        }
    }
    assert!(spent, "no failure fell between the try and its look");
}

#[test]
fn a_pin_storm_ends_the_pin_and_only_another_way_leads_in() {
    let phone = Phone::new();
    let life = with_pin(&phone);
    life.run(life.wallet.set_up_verification(Some(by_pin(PIN))))
        .unwrap();
    life.run(life.wallet.lock()).unwrap();
    for left in (1..10).rev() {
        let wrong = life.run(life.wallet.unlock(by_pin(WRONG)));
        assert!(
            matches!(wrong, Err(WalletError::PinWrong(n)) if n == left),
            "{wrong:?}"
        );
        phone.clocks.pass(3_600_000);
    }
    let last = life.run(life.wallet.unlock(by_pin(WRONG)));
    assert!(matches!(last, Err(WalletError::PinSpent)), "{last:?}");
    phone.clocks.pass(3_600_000);
    let right = life.run(life.wallet.unlock(by_pin(PIN)));
    assert!(matches!(right, Err(WalletError::NoPerson)), "{right:?}");

    let id = verified(&phone, &life, Purpose::Access);
    life.run(life.wallet.unlock(Proof::Verification(id)))
        .unwrap();
    assert!(life.pay(1).is_ok());
    let id = verified(&phone, &life, Purpose::Access);
    let again = life.wallet.set_pin(pin(PIN), Some(Proof::Verification(id)));
    life.run(again).unwrap();
    life.run(life.wallet.unlock(by_pin(PIN))).unwrap();
}

#[test]
fn a_pin_is_changed_by_the_old_one_alone() {
    let phone = Phone::new();
    let life = with_pin(&phone);
    let bare = life.run(life.wallet.set_pin(pin("314159"), None));
    assert!(matches!(bare, Err(WalletError::NotVerified)));
    let wrong = life.run(life.wallet.set_pin(pin("314159"), Some(by_pin(WRONG))));
    assert!(matches!(wrong, Err(WalletError::PinWrong(9))));
    life.run(life.wallet.set_pin(pin("314159"), Some(by_pin(PIN))))
        .unwrap();
    assert!(life.run(life.wallet.unlock(by_pin(PIN))).is_err());
    life.run(life.wallet.unlock(by_pin("314159"))).unwrap();
}

#[test]
fn s30_a_verification_is_good_once_in_its_time_for_its_amount() {
    let phone = Phone::new();
    let life = with_pin(&phone);
    life.run(life.wallet.set_up_verification(Some(by_pin(PIN))))
        .unwrap();
    let take = |id: &str, minor| life.wallet.take_for_payment(id, money(minor)).is_ok();

    let exact = Purpose::Payment(money(1250));
    let id = verified(&phone, &life, exact);
    assert!(take(&id, 1250));
    assert!(!take(&id, 1250), "used once");

    let id = verified(&phone, &life, exact);
    assert!(!take(&id, 1251), "bound to the amount");
    assert!(!take(&id, 1250), "and a wrong use is a use");

    let id = verified(&phone, &life, Purpose::UpTo(money(1250)));
    assert!(take(&id, 1250));
    let id = verified(&phone, &life, Purpose::UpTo(money(1250)));
    assert!(!take(&id, 1251), "not above the ceiling");
    let above = life
        .wallet
        .begin_verification(Purpose::UpTo(money(100_001)));
    assert!(matches!(life.run(above), Err(WalletError::Input(_))));

    let id = verified(&phone, &life, exact);
    phone.clocks.pass(59_999);
    assert!(take(&id, 1250), "within its minute");
    let id = verified(&phone, &life, exact);
    phone.clocks.pass(60_000);
    assert!(!take(&id, 1250), "and no longer");

    let id = verified(&phone, &life, exact);
    phone.clocks.pass(50_000);
    phone.clocks.set(NOON_MS - 3_600_000);
    phone.clocks.pass(20_000);
    assert!(!take(&id, 1250), "a clock set back adds nothing");

    let id = verified(&phone, &life, exact);
    let access = life.wallet.take_access(&id);
    assert!(
        access.is_err(),
        "a payment's verification opens nothing else"
    );
    let id = life
        .run(life.wallet.verify_with_pin(pin(PIN), exact))
        .unwrap();
    assert!(take(&id, 1250), "the PIN verifies as well");
}

#[test]
fn s31_nothing_but_the_platform_key_verifies() {
    let phone = Phone::new();
    let life = with_pin(&phone);
    life.run(life.wallet.set_up_verification(Some(by_pin(PIN))))
        .unwrap();
    let purpose = Purpose::Payment(money(1250));
    let request = life.run(life.wallet.begin_verification(purpose)).unwrap();
    assert!(
        life.wallet
            .take_for_payment(&request.id, money(1250))
            .is_err()
    );
    for forged in [vec![0; 32], vec![1; 31], Vec::new()] {
        let request = life.run(life.wallet.begin_verification(purpose)).unwrap();
        let outcome = PromptOutcome::Unwrapped(Zeroizing::new(forged));
        let finished = life.wallet.finish_verification(&request.id, outcome);
        assert!(life.run(finished).is_err());
        assert!(
            life.wallet
                .take_for_payment(&request.id, money(1250))
                .is_err()
        );
    }
    let request = life.run(life.wallet.begin_verification(purpose)).unwrap();
    let cancelled = life
        .wallet
        .finish_verification(&request.id, PromptOutcome::Cancelled);
    let cancelled = life.run(cancelled);
    let expected = VaultError::KeyStore(KeyStoreError::UserCancelled);
    assert!(
        matches!(&cancelled, Err(WalletError::Vault(error)) if error.to_string() == expected.to_string())
    );
    // A prompt that was open too long.
    let request = life.run(life.wallet.begin_verification(purpose)).unwrap();
    let outcome = prompt(&phone, &request);
    phone.clocks.pass(120_000);
    let late = life.run(life.wallet.finish_verification(&request.id, outcome));
    assert!(matches!(late, Err(WalletError::NotVerified)));
}

#[test]
fn s08_a_change_of_biometrics_voids_the_key_and_the_pin_leads_back() {
    let phone = Phone::new();
    let life = with_pin(&phone);
    life.run(life.wallet.set_up_verification(Some(by_pin(PIN))))
        .unwrap();
    let request = life
        .run(life.wallet.begin_verification(Purpose::Access))
        .unwrap();
    phone.hardware.lose(&request.alias);
    let outcome = prompt(&phone, &request);
    let voided = life.run(life.wallet.finish_verification(&request.id, outcome));
    assert!(matches!(voided, Err(WalletError::VerificationVoided)));
    let again = life.run(life.wallet.begin_verification(Purpose::Access));
    assert!(matches!(again, Err(WalletError::VerificationVoided)));
    assert!(
        life.run(life.wallet.status())
            .unwrap()
            .person
            .biometric_voided
    );

    life.run(life.wallet.set_up_verification(Some(by_pin(PIN))))
        .unwrap();
    let id = verified(&phone, &life, Purpose::Payment(money(1)));
    assert!(life.wallet.take_for_payment(&id, money(1)).is_ok());
    assert!(
        !life
            .run(life.wallet.status())
            .unwrap()
            .person
            .biometric_voided
    );
}

#[test]
fn s07_a_pin_change_that_is_killed_at_any_call_leaves_one_pin_that_works() {
    let phone = Phone::new();
    with_pin(&phone).kill(&phone);
    let (mut current, mut next) = (PIN, "314159");
    for failing in 1..30 {
        let life = phone.live();
        life.run(life.wallet.start()).unwrap();
        phone.hardware.fail_in(failing);
        drop(life.run(life.wallet.set_pin(pin(next), Some(by_pin(current)))));
        phone.hardware.fail_in(0);
        life.kill(&phone);
        let life = phone.live();
        life.run(life.wallet.start()).unwrap();
        phone.clocks.pass(3_600_000);
        if life.run(life.wallet.unlock(by_pin(current))).is_err() {
            phone.clocks.pass(3_600_000);
            life.run(life.wallet.unlock(by_pin(next))).unwrap();
            (current, next) = (next, current);
        }
        let pins = phone.hardware.aliases_with(".pin.");
        assert_eq!(pins.len(), 1, "call {failing}: {pins:?}");
        life.kill(&phone);
    }
}

#[test]
fn s01_each_key_crosses_once_when_the_wallet_starts() {
    let phone = Phone::new();
    let life = phone.live();
    phone.hardware.unwraps.store(0, Ordering::SeqCst);
    life.run(life.wallet.start()).unwrap();
    assert_eq!(
        phone.hardware.unwraps.load(Ordering::SeqCst),
        2,
        "storage and arming key"
    );
    assert_eq!(life.pay(1), Ok(1));
    life.run(life.wallet.status()).unwrap();
    assert_eq!(
        phone.hardware.unwraps.load(Ordering::SeqCst),
        2,
        "neither tap nor status asks"
    );
}

/// Each key that is stored at all is stored wrapped: by the platform (whose keys are 128 bits strong at least, by contract)
/// or by AES-256-GCM under another 32-byte key. Nothing of it lies in the files as it is, or in hexadecimal.
#[test]
fn s05_every_key_at_rest_is_wrapped_by_a_stronger_or_equal_one() {
    let phone = Phone::new();
    let life = with_pin(&phone);
    life.run(life.wallet.set_up_verification(Some(by_pin(PIN))))
        .unwrap();
    life.run(life.wallet.lock()).unwrap();
    life.run(life.wallet.unlock(by_pin(PIN))).unwrap();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(phone.path()).unwrap() {
        files.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    let holds = |bytes: &[u8]| files.windows(bytes.len()).any(|window| window == bytes);
    assert!(holds(b"SQLite format 3"));
    let wrapped = phone.hardware.wrapped();
    assert!(wrapped.len() >= 4, "storage, arming, pepper, verified key");
    let limited_use = b"0123456789ABCDEF".to_vec();
    for key in wrapped.into_iter().chain([limited_use]) {
        assert!(key.len() >= 16);
        for form in [
            key.clone(),
            hex::encode(&key).into_bytes(),
            hex::encode_upper(&key).into_bytes(),
        ] {
            assert!(!holds(&form));
        }
    }
}
