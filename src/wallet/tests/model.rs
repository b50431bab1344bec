//! A long random life of one phone against a model of its issuer: taps, payment codes, new keys, locks, suspensions, wipes,
//! kills and old copies put back. Whatever happens, no counter leaves twice, by a tap or on the screen, no key pays more
//! often than it may, and no alias is shown in two showings.
//!
//! `TAPCORE_MODEL_STEPS` sets how many steps (10,000 unless told), `TAPCORE_MODEL_SEED` the seed.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::codes::stock_under;
use super::phone::{Life, Phone, SELECT, gpo, status};
use crate::code::numeric::parse;
use crate::code::{Alias, CodeFormat};
use crate::secret::Secret;
use crate::token::{TokenLife, TokenRef};
use crate::vault::VaultError;
use crate::wallet::lifecycle::set_state;
use crate::wallet::payload::ProvisionedKey;
use crate::wallet::replenish::store_keys;
use crate::wallet::{
    CodeKind, CodeRefusal, CodeShown, CodeState, CodeView, PromptOutcome, Proof, Purpose,
    WalletError,
};

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
    /// Aliases that were on a screen.
    aliases: BTreeSet<Alias>,
    tokens: u32,
    keys: u32,
    /// How many aliases it has given out.
    given: u32,
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

/// A code on the phone's screen.
struct Screen {
    view: Arc<CodeView>,
    /// What was seen last.
    seen: String,
}

struct World {
    phone: Phone,
    issuer: Issuer,
    random: Random,
    token: TokenRef,
    life: Option<Life>,
    screen: Option<Screen>,
    copy: Option<tempfile::TempDir>,
    taps: u32,
    paid: u32,
    refused_copies: u32,
    presented: u32,
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

    /// The person's finger is on the sensor; answers the verification.
    fn verify(&self) -> String {
        let life = self.life();
        let asked = life.run(life.wallet.begin_verification(Purpose::Access));
        let asked = asked.unwrap();
        let key = self.phone.hardware.open(&asked.alias, &asked.wrapped);
        let outcome = PromptOutcome::Unwrapped(Zeroizing::new(key));
        life.run(life.wallet.finish_verification(&asked.id, outcome))
            .unwrap();
        asked.id
    }

    fn unlock(&mut self) {
        let proof = Proof::Verification(self.verify());
        let life = self.life();
        life.run(life.wallet.unlock(proof)).unwrap();
    }

    /// Aliases come, as from a provider.
    fn stock(&mut self) {
        let first = self.issuer.given;
        self.issuer.given += 15;
        let seed = Secret::new(*b"a seed of thirty-two test bytes.");
        let aliases = first..self.issuer.given;
        stock_under(seed, self.token.clone(), &self.phone, self.life(), aliases);
    }

    fn show(&mut self) {
        let kind = match self.random.below(2) {
            0 => CodeKind::Numeric,
            _ => CodeKind::ConsumerPresented,
        };
        let shown = self.run_show(kind, None);
        let shown = match shown {
            Err(WalletError::NotVerified) => self.run_show(kind, Some(self.verify())),
            shown => shown,
        };
        match shown {
            Ok(view) => {
                let seen = String::new();
                self.screen = Some(Screen { view, seen });
                let alias = self.look();
                let fresh = alias.is_none_or(|alias| self.issuer.aliases.insert(alias));
                assert!(fresh, "an alias is in two showings");
            }
            Err(WalletError::Code(CodeRefusal::NoKeys)) => {}
            Err(WalletError::Code(_)) => self.stock(),
            Err(WalletError::NoSuchCard | WalletError::Vault(VaultError::Locked)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn run_show(&self, kind: CodeKind, by: Option<String>) -> Result<Arc<CodeView>, WalletError> {
        let life = self.life();
        life.run(life.wallet.show_code(kind, None, by))
    }

    /// A look at the screen; answers the alias that is there.
    fn look(&mut self) -> Option<Alias> {
        let screen = self.screen.as_mut()?;
        let CodeShown {
            code, state, kind, ..
        } = screen.view.now();
        if state != CodeState::Showing {
            return None;
        }
        if kind == CodeKind::Numeric {
            return Some(parse(&CodeFormat::default(), &code).unwrap().alias);
        }
        if code != screen.seen {
            let (atc, index) = cryptogram(&code);
            screen.seen = code;
            self.issuer.see(self.token.as_str(), atc, index, 0);
            self.presented += 1;
        }
        None
    }

    /// The next step of time, or a view that is closed, photographed or begun anew.
    fn on_screen(&mut self) {
        let what = self.random.below(8);
        let Some(screen) = &self.screen else { return };
        let view = Arc::clone(&screen.view);
        match what {
            0..=4 => {
                let before = self.look();
                self.phone.clocks.pass(30_000);
                let after = self.look();
                assert!(after.is_none() || after == before, "a view has one alias");
            }
            5 => self.life().run(view.photographed()),
            6 => {
                let renewed = self.life().run(view.renew(None));
                if let (Ok(()), Some(alias)) = (renewed, self.look()) {
                    assert!(self.issuer.aliases.insert(alias), "shown anew");
                }
            }
            _ => {
                self.life().run(view.close());
                self.screen = None;
            }
        }
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
        self.screen_ends(killed);
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

    /// The process ends, at once or in order.
    fn screen_ends(&mut self, killed: bool) {
        let screen = self.screen.take().filter(|_| killed);
        drop(screen.inspect(|screen| screen.view.detach()));
    }

    fn take_copy(&mut self) {
        self.screen_ends(false);
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
        self.screen_ends(false);
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
        self.screen_ends(true);
        life.run(life.wallet.wipe()).unwrap();
        life.kill(&self.phone);
        self.begin_anew();
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..=54 => self.tap(),
            55..=59 => self.show(),
            60..=69 => self.on_screen(),
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

/// The counter and the key index in a consumer-presented code, whose last objects are 9F10 (which ends with the key index),
/// 9F26, 9F36 and 9F37.
fn cryptogram(code: &str) -> (u16, String) {
    let bytes = STANDARD.decode(code).unwrap();
    let (rest, payment) = bytes.split_at(bytes.len() - 23);
    let [
        0x9F,
        0x26,
        0x08,
        ..,
        0x9F,
        0x36,
        0x02,
        high,
        low,
        0x9F,
        0x37,
        0x04,
        _,
        _,
        _,
        _,
    ] = payment
    else {
        panic!("{}", hex::encode(bytes));
    };
    let index = hex::encode(&rest[rest.len() - 4..]);
    (u16::from_be_bytes([*high, *low]), index)
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
        screen: None,
        copy: None,
        taps: 0,
        paid: 0,
        refused_copies: 0,
        presented: 0,
    };
    world.begin_anew();
    for _ in 0..steps {
        world.step();
    }
    let World {
        taps,
        paid,
        refused_copies,
        presented,
        issuer,
        ..
    } = world;
    println!(
        "{taps} taps, {paid} paid, {presented} cards shown, {} aliases shown, {} cards, {} keys, {refused_copies} old \
         copies refused",
        issuer.aliases.len(),
        issuer.tokens,
        issuer.keys
    );
    assert!(u64::from(paid) > steps / 20, "the phone pays");
    assert!(u64::from(presented) > steps / 200, "it is shown");
    assert!(
        issuer.aliases.len() > steps as usize / 200,
        "so are aliases"
    );
    assert!(refused_copies > 0 || steps < 1_000);
}
