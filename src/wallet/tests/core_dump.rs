//! What a core dump holds: the memory of a running phone is searched for its secrets.
//!
//! The phone is a process of its own, this test binary run again; it stops at each stage while the parent reads its
//! memory through the kernel, every mapping of it, as a core dump would. Whatever plays the key hardware keeps its keys
//! in files, masked, so that memory holds what the core put there and nothing else.

use std::fs;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use zeroize::{Zeroize, Zeroizing};

use super::codes::{alias, stock_under};
use super::phone::{Phone, PhoneKeys};
use crate::bind::bind;
use crate::code::Alias;
use crate::secret::Secret;
use crate::token::TokenRef;
use crate::vault::{AttestedKey, KeyStoreError, PlatformKeyStore, SecurityLevel};
use crate::wallet::{CodeKind, CodeState, PromptOutcome, Proof, Purpose};

/// Tells the child where it lives.
const FOLDER: &str = "TAPCORE_OBSERVED";
/// Files hold every byte changed by this.
const MASK: u8 = 0xA5;
/// Payment codes that the phone has: so many that it asks for no more.
const CODES: u32 = 9;

/// Key hardware in a folder: a file for each alias, masked. What is wrapped is handed back as the name of its file.
struct MaskedFiles(PathBuf);

impl MaskedFiles {
    fn path(&self, alias: &str) -> PathBuf {
        self.0.join(alias)
    }
}

fn write_masked(path: &Path, bytes: &[u8]) {
    let mut masked: Vec<u8> = bytes.iter().map(|byte| byte ^ MASK).collect();
    fs::write(path, &masked).unwrap();
    masked.zeroize();
}

fn read_masked(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = fs::read(path).ok()?;
    bytes.iter_mut().for_each(|byte| *byte ^= MASK);
    Some(bytes)
}

impl PlatformKeyStore for MaskedFiles {
    fn security_level(&self) -> SecurityLevel {
        SecurityLevel::Software
    }

    fn create_wrapping_key(&self, alias: &str) -> Result<(), KeyStoreError> {
        fs::write(self.path(alias), b"").unwrap();
        Ok(())
    }

    fn create_verified_key(&self, alias: &str) -> Result<(), KeyStoreError> {
        self.create_wrapping_key(alias)
    }

    fn wrap(&self, alias: &str, key: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        write_masked(&self.path(alias), key);
        // Kept for the parent, which wants to know every key there ever was.
        write_masked(&self.0.join(format!("was-{alias}")), key);
        Ok(b"wrapped".to_vec())
    }

    fn unwrap(&self, alias: &str, _: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        read_masked(&self.path(alias)).ok_or(KeyStoreError::NotFound)
    }

    fn create_signing_key(&self, alias: &str, _: &[u8]) -> Result<AttestedKey, KeyStoreError> {
        self.create_wrapping_key(alias)?;
        Ok(AttestedKey {
            public: vec![4; 65],
            attestation: Vec::new(),
        })
    }

    fn sign(&self, _: &str, _: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        Ok(vec![0; 64])
    }

    fn delete(&self, alias: &str) -> Result<(), KeyStoreError> {
        drop(fs::remove_file(self.path(alias)));
        Ok(())
    }

    fn aliases(&self) -> Result<Vec<String>, KeyStoreError> {
        let names = fs::read_dir(&self.0).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        Ok(names.filter(|name| name.starts_with("tapcore.")).collect())
    }
}

/// The observed phone. Does nothing when it is not run by the test below.
#[test]
fn observed_phone() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let folder = PathBuf::from(folder);
    let pause = |stage: &str| {
        println!("\nstage {stage}");
        std::io::stdout().flush().unwrap();
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).unwrap();
    };
    let secret = |name: &str| read_masked(&folder.join(name)).unwrap();
    let pin = || Zeroizing::new(String::from_utf8(secret("pin")).unwrap());

    let keys: Arc<dyn PlatformKeyStore> = Arc::new(MaskedFiles(folder.join("platform")));
    let (luk, oda) = (Zeroizing::new(secret("luk")), Zeroizing::new(secret("oda")));
    let phone = Phone::with(PhoneKeys {
        key_store: Some(Arc::clone(&keys)),
        luk: &luk,
        oda: Some(&oda),
        next_atc: 1,
        folder: Some(folder.join("data")),
    });
    drop((luk, oda));
    let life = phone.live();
    let wallet = &life.wallet;
    life.run(wallet.start()).unwrap();
    life.run(wallet.set_pin(pin(), None)).unwrap();
    let proof = Some(Proof::Pin(pin()));
    life.run(wallet.set_up_verification(proof)).unwrap();
    pause("armed");
    assert_eq!(life.pay(1), Ok(1));
    // A reader that asks for a signature as well.
    assert_eq!(life.pay_by("66800080", 2), Ok(2));
    pause("tapped");
    let seed = Secret::copy_of(&Zeroizing::new(secret("seed"))).unwrap();
    stock_under(seed, TokenRef::new("tok_1"), &phone, &life, 0..CODES);
    // As above, on the test's own thread.
    crate::secret::wipe_stack();
    let show = |kind| {
        let view = life.run(wallet.show_code(kind, None, None)).unwrap();
        assert_eq!(view.now().state, CodeState::Showing);
        view.detach();
    };
    show(CodeKind::Numeric);
    pause("showing 0");
    life.run(wallet.lock()).unwrap();
    pause("locked");
    let asked = life
        .run(wallet.begin_verification(Purpose::Access))
        .unwrap();
    let shown = Zeroizing::new(keys.unwrap(&asked.alias, &asked.wrapped).unwrap());
    let outcome = PromptOutcome::Unwrapped(shown);
    life.run(wallet.finish_verification(&asked.id, outcome))
        .unwrap();
    pause("verified");
    let proof = Proof::Verification(asked.id);
    life.run(wallet.unlock(proof)).unwrap();
    assert!(life.pay(3).is_ok());
    pause("armed");
    life.run(wallet.lock()).unwrap();
    life.run(wallet.unlock(Proof::Pin(pin()))).unwrap();
    pause("armed");
    show(CodeKind::Numeric);
    pause("showing 1");
    // The card on the screen has its key beside the one for readers.
    show(CodeKind::ConsumerPresented);
    life.run(wallet.lock()).unwrap();
    pause("locked");
    life.run(wallet.unlock(Proof::Pin(pin()))).unwrap();
    show(CodeKind::Numeric);
    pause("showing 2");
    life.run(life.wallet.wipe()).unwrap();
    pause("wiped");
}

struct Observed {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Observed {
    /// Waits for the next stage; nothing at the phone's end.
    fn stage(&mut self) -> Option<String> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(stage) = line.trim().strip_prefix("stage ") {
                return Some(stage.to_owned());
            }
        }
    }

    fn go_on(&mut self) {
        writeln!(self.child.stdin.as_mut().unwrap()).unwrap();
    }

    /// Every readable byte of the phone's memory, mapping by mapping.
    fn memory(&self) -> Vec<(String, Vec<u8>)> {
        let pid = self.child.id();
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        let mut memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
        let mut found = Vec::new();
        for line in maps.lines() {
            let mut words = line.split_whitespace();
            let (range, rights) = (words.next().unwrap(), words.next().unwrap());
            // What nobody wrote to holds no secret; the kernel's own pages cannot be read.
            if !rights.starts_with("rw") {
                continue;
            }
            let (from, to) = range.split_once('-').unwrap();
            let parse = |text| u64::from_str_radix(text, 16).unwrap();
            let (from, to) = (parse(from), parse(to));
            let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
            memory.seek(SeekFrom::Start(from)).unwrap();
            if memory.read_exact(&mut bytes).is_ok() {
                found.push((line.to_owned(), bytes));
            }
        }
        assert!(!found.is_empty());
        found
    }
}

/// What is looked for, and how often it may be found.
struct Sought {
    name: String,
    secret: Vec<u8>,
    allowed: usize,
}

/// Where each of these stands in the memory. One pass for all of them: there is much memory.
fn places(memory: &[(String, Vec<u8>)], sought: &[Sought]) -> Vec<Vec<String>> {
    let head = |bytes: &[u8]| usize::from(u16::from_le_bytes([bytes[0], bytes[1]]));
    let mut begins = vec![Vec::new(); 1 << 16];
    for (number, one) in sought.iter().enumerate() {
        begins[head(&one.secret)].push(number);
    }
    let mut places = vec![Vec::new(); sought.len()];
    for (mapping, bytes) in memory {
        for at in 0..bytes.len().saturating_sub(1) {
            for number in &begins[head(&bytes[at..])] {
                if bytes[at..].starts_with(&sought[*number].secret) {
                    places[*number].push(format!("{at:#x} in {mapping}"));
                }
            }
        }
    }
    places
}

/// The payment key, opened beside the phone: the arming key is known here.
fn payment_key(folder: &Path) -> Option<Vec<u8>> {
    let (installation, record) = beside::arming_in(&folder.join("data/vault.db"))?;
    let arming = read_masked(
        &folder
            .join("platform")
            .join(format!("was-{}", record.alias)),
    )?;
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &arming).unwrap());
    let sealed = record.sealed;
    let nonce = Nonce::try_assume_unique_for_key(&sealed[2..14]).unwrap();
    let column: [&[u8]; 5] = [
        &sealed[..2],
        b"tapcore arming v1",
        &installation,
        b"arming",
        b"sealed",
    ];
    let context = ring::digest::digest(&ring::digest::SHA256, &bind("tapcore-sealed", &column));
    let mut aad = context.as_ref()[..16].to_vec();
    aad.extend(record.generation.to_be_bytes());
    aad.extend([0, 0, 0, 0, 0, 0, 0, 8]);
    let mut body = sealed[14..].to_vec();
    let plain = key.open_in_place(nonce, Aad::from(aad), &mut body).unwrap();
    let payment = plain[..32].to_vec();
    // Locked, there is none.
    payment.iter().any(|byte| *byte != 0).then_some(payment)
}

/// Reading the arming without the wallet, beside the process that has the folder.
mod beside {
    use std::path::Path;

    use crate::store::{ArmingRecord, VaultFile};

    pub(super) fn arming_in(path: &Path) -> Option<([u8; 16], ArmingRecord)> {
        let file = VaultFile::open(path).ok()?;
        let installation = file.installation().ok()??.installation;
        Some((installation, file.arming().ok()??))
    }
}

/// A card's RSA key as it is provisioned, and what of it would give it away, as a file holds it and as arithmetic does.
fn rsa_key() -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
    let drawn = rsa::RsaPrivateKey::new(&mut rand_core::OsRng, 1_024).unwrap();
    let [prime1, prime2] = drawn.primes() else {
        panic!("two primes");
    };
    // The card's private exponent is that which follows from the primes.
    let (p, q) = (prime1.clone(), prime2.clone());
    let key = rsa::RsaPrivateKey::from_p_q(p, q, drawn.e().clone()).unwrap();
    let upper = |number: &rsa::BigUint| hex::encode_upper(number.to_bytes_be());
    let oda = serde_json::json!({
        "modulus": upper(key.n()),
        "exponent": upper(key.e()),
        "prime1": upper(prime1),
        "prime2": upper(prime2),
    });
    let mut secrets = Vec::new();
    for (name, number) in [("p", prime1), ("q", prime2), ("d", key.d())] {
        // A part of it is enough to find it whole, and half a key is found as well.
        let half = number.to_bytes_be()[8..40].to_vec();
        let limbs = half.iter().rev().copied().collect();
        secrets.push((
            format!("{name} in hexadecimal"),
            hex::encode_upper(&half).into(),
        ));
        secrets.push((format!("{name} as bytes"), half));
        secrets.push((format!("{name} as limbs"), limbs));
    }
    (oda.to_string().into_bytes(), secrets)
}

/// What was freed is read again through the kernel: the pages are still this process's, and nobody may read them by a
/// pointer.
#[test]
fn s15_freed_memory_is_wiped() {
    const SIZE: usize = 4_096;
    let mut memory = fs::File::open("/proc/self/mem").unwrap();
    // Behind a neighbour that stays, so that the allocator keeps the page.
    let secret = vec![0xA7_u8; SIZE];
    let neighbour = vec![0xA7_u8; 16];
    let at = u64::try_from(secret.as_ptr().addr()).unwrap();
    let mut found = vec![0; SIZE];
    drop(std::hint::black_box(secret));
    memory.seek(SeekFrom::Start(at)).unwrap();
    memory.read_exact(&mut found).unwrap();
    let left = found.iter().filter(|byte| **byte == 0xA7).count();
    // The allocator may have written its own marks there, nothing else.
    assert!(left < SIZE / 8, "{left} of {SIZE} bytes are still there");
    drop(std::hint::black_box(neighbour));
}

#[test]
fn s15_no_secret_is_in_memory_after_lock_and_wipe_and_one_key_while_armed() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["platform", "data"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let mut luk = [0; 16];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut luk).unwrap();
    write_masked(&folder.path().join("luk"), &luk);
    let mut seed = [0; 32];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut seed).unwrap();
    write_masked(&folder.path().join("seed"), &seed);
    let (oda, rsa) = rsa_key();
    write_masked(&folder.path().join("oda"), &oda);
    let pin = "830274619553";
    write_masked(&folder.path().join("pin"), pin.as_bytes());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "wallet::tests::core_dump::observed_phone",
            "--nocapture",
        ])
        .env(FOLDER, folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    let mut phone = Observed { child, lines };
    let mut payment_keys = Vec::new();
    let mut stages = 0;
    let mut wrong = Vec::new();
    while let Some(stage) = phone.stage() {
        stages += 1;
        payment_keys.extend(payment_key(folder.path()));
        assert!(!payment_keys.is_empty());
        let mut sought = Vec::new();
        let mut check = |name: &str, secret: &[u8], allowed: usize| {
            sought.push(Sought {
                name: name.to_owned(),
                secret: secret.to_vec(),
                allowed,
            });
        };
        let on_screen: Option<u32> = stage
            .strip_prefix("showing ")
            .map(|number| number.parse().unwrap());
        let armed = on_screen.is_some() || matches!(stage.as_str(), "armed" | "tapped");
        let armed = usize::from(armed);
        check("limited-use key", &luk, armed);
        check("PIN", pin.as_bytes(), 0);
        check("seed of codes", &seed[..16], 0);
        check("seed of codes, second half", &seed[16..], 0);
        for number in 0..CODES {
            let key = key_of_code(&seed, &alias(number));
            let shown = usize::from(on_screen == Some(number));
            let name = format!("key of code {number}");
            check(&name, &key[..16], shown);
            check(&name, &key[16..], shown);
        }
        for (name, secret) in &rsa {
            // While armed it signs, and the key that signs has its numbers as limbs, one of each.
            let signs = usize::from(armed > 0 && name.ends_with("limbs"));
            check(name, secret, signs);
        }
        for key in &payment_keys {
            check("payment key", &key[..16], 0);
            check("payment key, second half", &key[16..], 0);
        }
        for entry in fs::read_dir(folder.path().join("platform")).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if name.starts_with("was-") {
                let key = read_masked(&entry.path()).unwrap();
                // The verified key is held for what comes of it, and for no longer.
                let held = usize::from(stage == "verified" && name.contains(".verified."));
                check(&name, &key[..16], held);
                check(&name, &key[16..], held);
            }
        }
        for (one, found) in sought.iter().zip(places(&phone.memory(), &sought)) {
            // What is in use must be found, or the search sees nothing.
            if found.len() != one.allowed {
                wrong.push(format!("{stage}: {}: {found:?}", one.name));
            }
        }
        phone.go_on();
    }
    assert!(phone.child.wait().unwrap().success());
    assert_eq!(stages, 11);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The key of a showing, by the definition: HKDF-SHA-256 without salt, the alias as info (RFC 5869).
fn key_of_code(seed: &[u8; 32], alias: &Alias) -> [u8; 32] {
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(seed);
    let info = [alias.as_str().as_bytes()];
    let expanded = extracted.expand(&info, hkdf::HKDF_SHA256).unwrap();
    let mut key = [0; 32];
    expanded.fill(&mut key).unwrap();
    key
}
