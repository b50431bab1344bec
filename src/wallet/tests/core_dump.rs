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
use zeroize::{Zeroize, Zeroizing};

use super::phone::{Phone, PhoneKeys};
use crate::bind::{bind, extend};
use crate::vault::{AttestedKey, KeyStoreError, PlatformKeyStore, SecurityLevel};
use crate::wallet::Proof;

/// Tells the child where it lives.
const FOLDER: &str = "TAPCORE_OBSERVED";
/// Files hold every byte changed by this.
const MASK: u8 = 0xA5;

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
    let luk = Zeroizing::new(secret("luk"));
    let phone = Phone::with(PhoneKeys {
        key_store: Some(keys),
        luk: &luk,
        next_atc: 1,
        folder: Some(folder.join("data")),
    });
    drop(luk);
    let life = phone.live();
    life.run(life.wallet.start()).unwrap();
    life.run(life.wallet.set_pin(pin(), None)).unwrap();
    pause("armed");
    assert_eq!(life.pay(1), Ok(1));
    pause("tapped");
    life.run(life.wallet.lock()).unwrap();
    pause("locked");
    life.run(life.wallet.unlock(Proof::Pin(pin()))).unwrap();
    assert!(life.pay(2).is_ok());
    pause("armed");
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

/// How often `secret` stands in the memory, and where.
fn places(memory: &[(String, Vec<u8>)], secret: &[u8]) -> Vec<String> {
    let mut places = Vec::new();
    for (mapping, bytes) in memory {
        let mut rest = 0;
        while let Some(at) = memchr_like(bytes.get(rest..).unwrap_or_default(), secret) {
            places.push(format!("{:#x} in {mapping}", rest + at));
            rest += at + 1;
        }
    }
    places
}

fn memchr_like(hay: &[u8], needle: &[u8]) -> Option<usize> {
    let first = needle.first()?;
    let mut from = 0;
    while let Some(at) = hay.get(from..)?.iter().position(|byte| byte == first) {
        let begin = from + at;
        if hay.get(begin..begin + needle.len()) == Some(needle) {
            return Some(begin);
        }
        from = begin + 1;
    }
    None
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
    let format: [&[u8]; 3] = [&sealed[..2], b"tapcore arming v1", &installation];
    let context = ring::digest::digest(&ring::digest::SHA256, &bind("tapcore-sealed", &format));
    let mut aad = context.as_ref()[..16].to_vec();
    extend(
        &mut aad,
        &[b"arming", b"sealed", &record.generation.to_be_bytes()],
    );
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

#[test]
fn s15_no_secret_is_in_memory_after_lock_and_wipe_and_one_key_while_armed() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["platform", "data"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let mut luk = [0; 16];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut luk).unwrap();
    write_masked(&folder.path().join("luk"), &luk);
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
        let memory = phone.memory();
        let mut check = |name: &str, secret: &[u8], allowed: usize| {
            let found = places(&memory, secret);
            if found.len() > allowed {
                wrong.push(format!("{stage}: {name}: {found:?}"));
            }
        };
        let armed = usize::from(matches!(stage.as_str(), "armed" | "tapped"));
        check("limited-use key", &luk, armed);
        check("PIN", pin.as_bytes(), 0);
        for key in &payment_keys {
            check("payment key", &key[..16], 0);
            check("payment key, second half", &key[16..], 0);
        }
        for entry in fs::read_dir(folder.path().join("platform")).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if name.starts_with("was-") {
                let key = read_masked(&entry.path()).unwrap();
                check(&name, &key[..16], 0);
                check(&name, &key[16..], 0);
            }
        }
        phone.go_on();
    }
    assert!(phone.child.wait().unwrap().success());
    assert_eq!(stages, 5);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
