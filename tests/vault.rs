//! Arming as it stands on the phone: what is sealed, what opens, and what an older copy is worth.
//!
//! The key store of these tests survives while the database goes back, as on a phone whose app data was restored.

mod keys;

use std::sync::Arc;

use tapcore::clock::{Anchor, ClockReading};
use tapcore::emv::verification::Tally;
use tapcore::store::{ArmingRecord, InstallationRecord, ManifestRoot};
use tapcore::token::{KeyState, KeyStock, Spent, TokenRef};
use tapcore::vault::{
    Hierarchy, RecipientKey, SealedBox, TokenState, VaultError, verify_signature,
};

use keys::MemoryKeyStore;

fn token() -> TokenRef {
    TokenRef::new("tok_1")
}

/// The manifest's root, which stands for the rows that must not go back.
const ROOT: ManifestRoot = [7; 32];

fn anchor() -> Anchor {
    let reading = ClockReading {
        wall_ms: 1_000,
        boot_id: "boot".into(),
        since_boot_ms: 0,
    };
    Anchor::new(reading.wall_ms, &reading)
}

fn installed() -> (
    Arc<MemoryKeyStore>,
    Hierarchy,
    InstallationRecord,
    ArmingRecord,
) {
    let store = Arc::new(MemoryKeyStore::default());
    let (hierarchy, record, arming) = Hierarchy::create(store.clone(), anchor(), ROOT).unwrap();
    (store, hierarchy, record, arming)
}

/// Arms once with a token whose counters reach `next_atc`; answers the record and a sealed key.
fn arm(hierarchy: &Hierarchy, current: &ArmingRecord, next_atc: u32) -> (ArmingRecord, Vec<u8>) {
    let mut arming = hierarchy.arming(current, &ROOT).unwrap();
    let mut keys = KeyStock::default();
    keys.add([KeyState {
        index: "6570201".to_owned().try_into().unwrap(),
        uses_left: 10,
        not_after_ms: 1_000,
        verified: false,
        limits: None,
        spent: Spent::default(),
        wiped: false,
    }]);
    let state = TokenState {
        next_atc,
        keys,
        logged_through: 0,
        noted_through: 0,
        tally: Tally::default(),
    };
    arming.state_mut().tokens.insert(token(), state);
    let sealed = arming
        .seal_secret(&token(), "luk 6570201", b"0123456789ABCDEF")
        .unwrap();
    let next = arming.begin_next().unwrap();
    (arming.seal_next(&next, ROOT).unwrap(), sealed)
}

#[test]
fn the_payment_key_outlives_armings_and_counters_come_back() {
    let (_, hierarchy, _, zeroth) = installed();
    let (first, sealed) = arm(&hierarchy, &zeroth, 5);
    let (second, _) = arm(&hierarchy, &first, 9);
    assert_ne!(first.alias, second.alias);
    hierarchy.retire_older(&second).unwrap();
    let arming = hierarchy.arming(&second, &ROOT).unwrap();
    assert_eq!(arming.state().tokens[&token()].next_atc, 9);
    assert_eq!(
        arming
            .open_secret(&token(), "luk 6570201", &sealed)
            .unwrap()
            .expose(),
        b"0123456789ABCDEF"
    );
    let elsewhere = arming.open_secret(&token(), "log", &sealed);
    assert!(matches!(elsewhere, Err(VaultError::Unsealable)));
}

#[test]
fn s22_an_older_record_opens_nothing_once_the_newer_one_is_in_force() {
    let (_, hierarchy, _, zeroth) = installed();
    let (first, _) = arm(&hierarchy, &zeroth, 5);
    let (second, _) = arm(&hierarchy, &first, 9);
    hierarchy.retire_older(&second).unwrap();
    assert!(matches!(
        hierarchy.arming(&first, &ROOT),
        Err(VaultError::PutBack)
    ));
}

#[test]
fn s22_a_copy_from_before_the_first_card_opens_nothing_either() {
    let (_, hierarchy, _, zeroth) = installed();
    let (first, _) = arm(&hierarchy, &zeroth, 1);
    hierarchy.retire_older(&first).unwrap();
    assert!(matches!(
        hierarchy.arming(&zeroth, &ROOT),
        Err(VaultError::PutBack)
    ));
}

#[test]
fn s07_a_crash_between_commit_and_deletion_leaves_exactly_one_that_opens() {
    let (store, hierarchy, installation, zeroth) = installed();
    let (first, _) = arm(&hierarchy, &zeroth, 5);
    let (second, _) = arm(&hierarchy, &first, 9);
    // Killed here: both aliases are there. Whichever record the disk holds is the one in force from now on.
    for (kept, lost) in [(&first, &second), (&second, &first)] {
        let keys = store.keys.lock().unwrap().clone();
        let hierarchy = Hierarchy::open(store.clone(), &installation).unwrap();
        assert!(hierarchy.arming(kept, &ROOT).is_ok());
        hierarchy.retire_older(kept).unwrap();
        assert!(matches!(
            hierarchy.arming(lost, &ROOT),
            Err(VaultError::PutBack)
        ));
        *store.keys.lock().unwrap() = keys;
    }
}

#[test]
fn s09_parts_of_two_records_do_not_mix() {
    let (_, hierarchy, _, zeroth) = installed();
    let (first, _) = arm(&hierarchy, &zeroth, 5);
    let (second, _) = arm(&hierarchy, &first, 9);
    let older_state = ArmingRecord {
        sealed: first.sealed.clone(),
        ..second.clone()
    };
    assert!(matches!(
        hierarchy.arming(&older_state, &ROOT),
        Err(VaultError::Unsealable)
    ));
    let older_generation = ArmingRecord {
        generation: first.generation,
        ..second
    };
    assert!(matches!(
        hierarchy.arming(&older_generation, &ROOT),
        Err(VaultError::Unsealable)
    ));
}

#[test]
fn s12_a_manifest_that_is_not_the_newest_is_noticed() {
    let (_, hierarchy, _, zeroth) = installed();
    let older: ManifestRoot = [6; 32];
    assert!(matches!(
        hierarchy.arming(&zeroth, &older),
        Err(VaultError::RolledBack)
    ));
}

#[test]
fn s21_data_without_this_phones_keys_asks_for_enrolment() {
    let (_, _, record, _) = installed();
    let elsewhere = Hierarchy::open(Arc::new(MemoryKeyStore::default()), &record);
    assert!(matches!(elsewhere, Err(VaultError::OtherPhone)));
}

#[test]
fn s21_a_key_that_is_gone_is_told_from_data_that_is_older() {
    let (store, hierarchy, installation, zeroth) = installed();
    let gone = |purpose: &str| {
        let mut keys = store.keys.lock().unwrap();
        keys.retain(|alias, _| !alias.contains(purpose));
    };
    gone(".arming.");
    let arming = hierarchy.arming(&zeroth, &ROOT);
    assert!(matches!(arming, Err(VaultError::KeysGone)));
    gone(".storage");
    let opened = Hierarchy::open(store.clone(), &installation);
    assert!(matches!(opened, Err(VaultError::KeysGone)));
}

#[test]
fn s40_what_is_sealed_to_a_one_time_key_opens_for_its_purpose_only() {
    let key = RecipientKey::generate().unwrap();
    let sealed = SealedBox::seal(&key.public().unwrap(), b"info", b"aad", b"keys").unwrap();
    let restored = RecipientKey::restore(key.private_half()).unwrap();
    assert_eq!(
        restored.open(&sealed, b"info", b"aad").unwrap().expose(),
        b"keys"
    );
    assert!(restored.open(&sealed, b"other", b"aad").is_err());
    assert!(restored.open(&sealed, b"info", b"other").is_err());
    let other = RecipientKey::generate().unwrap();
    assert!(other.open(&sealed, b"info", b"aad").is_err());
}

/// RFC 6979, A.2.5: the signature of "sample" with SHA-256 by that appendix's P-256 key.
#[test]
fn signatures_of_the_network_are_checked() {
    let public = "0460FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6\
                  7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299";
    let signature = "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716\
                     F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8";
    let public = hex::decode(public.replace(char::is_whitespace, "")).unwrap();
    let signature = hex::decode(signature.replace(char::is_whitespace, "")).unwrap();
    assert!(verify_signature(&public, b"sample", &signature).is_ok());
    assert!(verify_signature(&public, b"Sample", &signature).is_err());
    assert!(verify_signature(&public[1..], b"sample", &signature).is_err());
}
