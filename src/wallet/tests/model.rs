//! A long random life of one phone against a model of its issuer: taps, new keys, locks, suspensions, wipes, kills and
//! old copies put back. Whatever happens, no counter leaves twice and no key pays more often than it may.
//!
//! `TAPCORE_MODEL_STEPS` sets how many steps (10,000 unless told), `TAPCORE_MODEL_SEED` the seed.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use zeroize::Zeroizing;

use super::phone::{Life, Phone, SELECT, gpo, status};
use crate::token::{TokenLife, TokenRef};
use crate::vault::VaultError;
use crate::wallet::lifecycle::set_state;
use crate::wallet::payload::ProvisionedKey;
use crate::wallet::replenish::store_keys;
use crate::wallet::{PromptOutcome, Proof, Purpose, WalletError};

/// Uses of each key.
const USES: u32 = 10;
/// The largest payment of a key that the network sent, in fen; readers ask for up to 10.99 yuan.
const SINGLE: u32 = 1_000;
/// The key that a new card comes with, which has no limits.
const FIRST_KEY: &str = "6570201";

/// What the issuer knows, which no phone can put back.
#[derive(Default)]
struct Issuer {
    /// Counters seen, by token.
    counters: BTreeMap<String, BTreeSet<u16>>,
    /// Payments seen, by token and key index.
    uses: BTreeMap<(String, String), u32>,
    tokens: u32,
    keys: u32,
}

impl Issuer {
    fn see(&mut self, token: &str, atc: u16, index: String, minor: u32) {
        let fresh = self.counters.entry(token.into()).or_default().insert(atc);
        assert!(fresh, "{token}: ATC {atc} left twice");
        let limited = !index.ends_with(FIRST_KEY);
        assert!(!limited || minor <= SINGLE, "{token}: a key paid {minor}");
        let uses = self.uses.entry((token.into(), index)).or_default();
        *uses += 1;
        assert!(*uses <= USES, "{token}: a key paid {uses} times");
    }

    /// One new key, or one that came before: an answer that comes again.
    fn key(&mut self, random: &mut Random) -> ProvisionedKey {
        let again = self.keys > 0 && random.below(8) == 0;
        self.keys += u32::from(!again);
        let number = match again {
            true => 1 + random.below(u64::from(self.keys)),
            false => u64::from(self.keys),
        };
        let key = serde_json::json!({
            "key_index": format!("{number:07}"),
            "key": "00112233445566778899AABBCCDDEEFF",
            "not_after": "2099-12-31T00:00:00Z",
            "uses": USES,
            "limits": {
                "currency": "CNY", "single_minor": SINGLE, "total_minor": 1_000_000, "foreign_uses": 10,
            },
        });
        serde_json::from_value(key).unwrap()
    }
}

struct Random(u64);

impl Random {
    /// Marsaglia's xorshift64.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

struct World {
    phone: Phone,
    issuer: Issuer,
    random: Random,
    token: TokenRef,
    life: Option<Life>,
    copy: Option<tempfile::TempDir>,
    taps: u32,
    paid: u32,
    refused_copies: u32,
}

impl World {
    fn life(&self) -> &Life {
        self.life.as_ref().unwrap()
    }

    /// A new card on an empty wallet, with a person who has a fingerprint.
    fn begin_anew(&mut self) {
        self.issuer.tokens += 1;
        self.token = TokenRef::new(format!("tok_{}", self.issuer.tokens + 1));
        let life = self.phone.live();
        life.run(life.wallet.open()).unwrap();
        life.give_card(self.token.clone(), b"0123456789ABCDEF", None, 1, 0);
        life.run(life.wallet.set_up_verification(None)).unwrap();
        life.run(life.wallet.start()).unwrap();
        self.life = Some(life);
        self.copy = None;
    }

    fn tap(&mut self) {
        self.taps += 1;
        let number = self.taps;
        let life = self.life();
        life.wallet.deactivated();
        if status(&life.send(SELECT)).is_err() {
            return;
        }
        let minor = 100 + number % 1_000;
        let answer = life.send(&gpo(number, minor));
        if status(&answer).is_err() {
            return;
        }
        let value = |tag: [u8; 3], length: usize| {
            let at = answer.windows(3).position(|window| window == tag).unwrap() + 3;
            answer[at..at + length].to_vec()
        };
        let atc = value([0x9F, 0x36, 0x02], 2);
        let iad = value([0x9F, 0x10, 0x0C], 12);
        let atc = u16::from_be_bytes([atc[0], atc[1]]);
        // Some readers lose the phone before they have read everything.
        if self.random.below(4) > 0 {
            let life = self.life();
            for record in ["00B2010C00", "00B2020C00"] {
                assert_eq!(status(&life.send(record)), Ok(()));
            }
        }
        let token = self.token.as_str().to_owned();
        let index = hex::encode(&iad[8..]);
        self.issuer.see(&token, atc, index, minor);
        self.paid += 1;
    }

    fn replenish(&mut self) {
        let key = self.issuer.key(&mut self.random);
        let token = self.token.clone();
        let given = self.life().wallet.with_keys(move |wallet, opened| {
            store_keys(opened, &token, &[key], 0, opened.time_ms())?;
            wallet.arm_now(opened)
        });
        match self.life().run(given) {
            // Locked, nothing can be sealed.
            Ok(()) | Err(WalletError::Vault(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn unlock(&mut self) {
        let life = self.life();
        let asked = life.run(life.wallet.begin_verification(Purpose::Access));
        let asked = asked.unwrap();
        let key = self.phone.hardware.open(&asked.alias, &asked.wrapped);
        let outcome = PromptOutcome::Unwrapped(Zeroizing::new(key));
        life.run(life.wallet.finish_verification(&asked.id, outcome))
            .unwrap();
        life.run(life.wallet.unlock(Proof::Verification(asked.id)))
            .unwrap();
    }

    fn set_state(&mut self, state: TokenLife) {
        let token = self.token.clone();
        let set = self.life().wallet.with_keys(move |wallet, opened| {
            set_state(wallet, opened, &token, state, true)?;
            wallet.arm_now(opened)
        });
        self.life().run(set).unwrap();
    }

    fn restart(&mut self, killed: bool) {
        let life = self.life.take().unwrap();
        if killed {
            life.kill(&self.phone);
        } else {
            life.run(life.wallet.close()).unwrap();
        }
        let life = self.phone.live();
        life.run(life.wallet.start()).unwrap();
        self.life = Some(life);
    }

    fn take_copy(&mut self) {
        // Of files at rest, as a backup takes them.
        let life = self.life.take().unwrap();
        life.run(life.wallet.close()).unwrap();
        let copy = tempfile::tempdir().unwrap();
        copy_files(self.phone.path(), copy.path());
        self.copy = Some(copy);
        let life = self.phone.live();
        life.run(life.wallet.start()).unwrap();
        self.life = Some(life);
    }

    fn put_copy_back(&mut self) {
        let Some(copy) = self.copy.take() else { return };
        let life = self.life.take().unwrap();
        life.run(life.wallet.close()).unwrap();
        copy_files(copy.path(), self.phone.path());
        let life = self.phone.live();
        match life.run(life.wallet.start()) {
            // Nothing was armed since: it is today's.
            Ok(_) => self.life = Some(life),
            Err(error) => {
                let noticed = matches!(error, WalletError::Vault(VaultError::PutBack));
                assert!(noticed, "{error}");
                self.refused_copies += 1;
                self.wipe(life);
            }
        }
    }

    fn wipe(&mut self, life: Life) {
        life.run(life.wallet.wipe()).unwrap();
        life.kill(&self.phone);
        self.begin_anew();
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..=69 => self.tap(),
            70..=79 => self.replenish(),
            80..=83 => {
                let life = self.life();
                life.run(life.wallet.lock()).unwrap();
            }
            84..=89 => self.unlock(),
            90 => self.set_state(TokenLife::Suspended),
            91..=92 => self.set_state(TokenLife::Active),
            93..=94 => self.restart(true),
            95 => self.restart(false),
            96..=97 => self.take_copy(),
            98 => self.put_copy_back(),
            _ => {
                if self.random.below(4) == 0 {
                    let life = self.life.take().unwrap();
                    self.wipe(life);
                }
            }
        }
    }
}

fn copy_files(from: &Path, to: &Path) {
    for entry in fs::read_dir(to).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::remove_file(path).unwrap();
        }
    }
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

#[test]
fn s22_no_counter_leaves_twice_in_a_long_life() {
    let steps = number("TAPCORE_MODEL_STEPS", 10_000);
    let seed = number("TAPCORE_MODEL_SEED", 0x005E_ED0F_7A90);
    println!("seed {seed}, {steps} steps");
    let mut world = World {
        phone: Phone::empty(),
        issuer: Issuer::default(),
        random: Random(seed),
        token: TokenRef::new("tok_0"),
        life: None,
        copy: None,
        taps: 0,
        paid: 0,
        refused_copies: 0,
    };
    world.begin_anew();
    for _ in 0..steps {
        world.step();
    }
    let World {
        taps,
        paid,
        refused_copies,
        issuer,
        ..
    } = world;
    println!(
        "{taps} taps, {paid} paid, {} cards, {} keys, {refused_copies} old copies refused",
        issuer.tokens, issuer.keys
    );
    assert!(u64::from(paid) > steps / 20, "the phone pays");
    assert!(refused_copies > 0 || steps < 1_000);
}
