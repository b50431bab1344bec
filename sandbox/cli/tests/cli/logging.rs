//! The log on the command line, and what must never be read in it.

use std::cell::RefCell;
use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::common::{EXPIRY, Ended, Phone, Sandbox, Till};

const PIN: &str = "194917305528";
const NEXT_PIN: &str = "730194526618";
const PASSWORD: &str = "canary-Kanarienvogel-1";
const NEXT_PASSWORD: &str = "canary-Kanarienvogel-2";

#[test]
fn the_log_goes_to_standard_error_as_far_as_it_is_asked_for() {
    let sandbox = Sandbox::shared();
    let phone = Phone::enrolled(&sandbox);
    assert_eq!(phone.run(&["sync"]).exits(0).err, "");
    let traced = phone.run(&["--log", "trace", "sync", "--json"]).exits(0);
    assert!(
        traced.json()["new"].is_u64(),
        "the result alone is on stdout"
    );
    assert!(traced.err.contains("TRACE "), "{traced:?}");
    let debugged = phone.run(&["sync", "--log", "debug"]).exits(0);
    assert!(!debugged.err.contains("TRACE "), "{debugged:?}");
    phone.run(&["--log", "loud", "sync"]).exits(2);
}

/// Everything that a phone said.
#[derive(Default)]
struct Said(Vec<String>);

impl Said {
    fn take(&mut self, ended: Ended) {
        self.0.push(ended.out);
        self.0.push(ended.err);
    }

    /// Whether the canary is in it: as it is, spaced as on a card, or in hexadecimal. A short one must not stand within a
    /// longer number, which would be chance.
    #[track_caller]
    fn never(&self, canary: &str) {
        let spaced = |sign| {
            let fours: Vec<_> = canary
                .as_bytes()
                .chunks(4)
                .map(String::from_utf8_lossy)
                .collect();
            fours.join(sign)
        };
        let forms = [
            canary.to_owned(),
            spaced(" "),
            spaced("-"),
            hex::encode(canary),
            hex::encode_upper(canary),
        ];
        for form in forms {
            for said in &self.0 {
                let alone = said.match_indices(&form).any(|(at, _)| {
                    let before = said[..at].chars().next_back();
                    let after = said[at + form.len()..].chars().next();
                    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
                    canary.len() > 8 || !(is_part(before) || is_part(after))
                });
                assert!(!alone, "{form:?} is in:\n{said}");
            }
        }
    }

    /// The same for the bytes of a key: in hexadecimal, in base64, or as a list of numbers.
    #[track_caller]
    fn never_bytes(&self, key: &[u8]) {
        let list = |sign| {
            let numbers: Vec<_> = key.iter().map(u8::to_string).collect();
            numbers.join(sign)
        };
        let plain = STANDARD_NO_PAD.encode(key);
        for form in [
            hex::encode(key),
            hex::encode_upper(key),
            list(", "),
            list(","),
            plain,
        ] {
            let told = self.0.iter().find(|said| said.contains(&form));
            assert!(told.is_none(), "a key is said as {form:?} in {told:?}");
        }
    }
}

/// The secret of each key that the phone's hardware holds now.
fn platform_keys(phone: &Phone) -> Vec<Vec<u8>> {
    let files = phone
        .keys()
        .into_iter()
        .map(|key| phone.platform().join(key));
    let keys = files.map(|file| std::fs::read(file).unwrap());
    let secrets = keys.map(|key| match key.len() {
        // A private key in PKCS #8 is 32 bytes from its byte 36 on; the others are the file.
        69.. => key[36..68].to_vec(),
        _ => key,
    });
    // Where another finger was enrolled, a file is empty.
    secrets.filter(|secret| !secret.is_empty()).collect()
}

#[test]
fn s18_no_canary_of_any_command_is_said_or_logged() {
    let sandbox = Sandbox::shared();
    let phone = Phone::new();
    let number = phone.number.clone();
    let mut said = Said::default();
    // Each arming has a key of its own: every one of them is a canary.
    let keys = RefCell::new(BTreeSet::new());
    let traced = |words: &[&str]| {
        let ended = phone.run(&[&["--log", "trace"], words].concat());
        keys.borrow_mut().extend(platform_keys(&phone));
        ended
    };
    let card = ["--number", &number, "--expiry", EXPIRY];

    let enrol = [
        "enrol",
        "--provider",
        sandbox.provider(),
        "--ca",
        sandbox.ca(),
    ];
    said.take(traced(&enrol).exits(0));
    said.take(traced(&[&["card", "add"], &card[..]].concat()).exits(1));
    let code = sandbox.sms(&number);
    let wrong_code = if code == "730194" { "730195" } else { "730194" };
    for (sms, exit) in [(wrong_code, 3), (&code, 0)] {
        said.take(traced(&[&["card", "add"], &card[..], &["--sms", sms]].concat()).exits(exit));
    }
    let wrong_number = format!(
        "{}{}",
        &number[..15],
        (number.as_bytes()[15] - b'0' + 1) % 10
    );
    let wrong_card = ["card", "add", "--number", &wrong_number, "--expiry", EXPIRY];
    said.take(traced(&wrong_card).exits(1));

    said.take(traced(&["pin", "set", "--pin", PIN]).exits(0));
    said.take(traced(&["pin", "set", "--old", NEXT_PIN, "--pin", PIN]).exits(1));
    said.take(traced(&["pin", "set", "--old", PIN, "--pin", NEXT_PIN]).exits(0));
    said.take(traced(&["finger", "set-up", "--pin", NEXT_PIN]).exits(0));
    said.take(traced(&["lock"]).exits(0));
    said.take(traced(&["unlock", "--pin", PIN]).exits(1));
    said.take(traced(&["unlock", "--finger"]).exits(0));

    let confirm = ["confirm", "--amount", "12.50", "--payee", "Mapo"];
    let forgot = [&["password", "forgot"], &card[..]].concat();
    let confirmed = |how: &[&str]| traced(&[&confirm[..], how].concat());
    said.take(confirmed(&["--pin", NEXT_PIN]).exits(0));
    said.take(confirmed(&["--finger"]).exits(0));
    said.take(traced(&["password", "set", "--password", PASSWORD]).exits(0));
    said.take(confirmed(&["--password", PASSWORD]).exits(0));
    said.take(confirmed(&["--password", NEXT_PASSWORD]).exits(1));
    let change = [
        "password",
        "change",
        "--old",
        PASSWORD,
        "--password",
        NEXT_PASSWORD,
    ];
    said.take(traced(&change).exits(0));
    said.take(traced(&forgot).exits(1));
    let reset_code = sandbox.sms(&number);
    let words = ["--sms", &reset_code, "--password", PASSWORD];
    said.take(traced(&[&forgot[..], &words].concat()).exits(0));

    let serving = phone.start(&["--log", "trace", "serve", "--tcp", "127.0.0.1:0"]);
    let addr = serving.next()["addr"].as_str().unwrap().to_owned();
    Till::of(&sandbox).tap(&addr, "12.50", &[]).exits(0);
    serving.event("tap");
    said.take(serving.terminate());

    let token = &number[12..];
    let link = phone.link(&[]);
    let others: [&[&str]; 12] = [
        &["status", "--json"],
        &["card", "list", "--json"],
        &["card", "suspend", "--token", token],
        &["card", "resume", "--token", token],
        &["sync"],
        &["statement", "--json"],
        &["phones", "--json"],
        &["export"],
        &["finger", "change"],
        &["card", "delete", "--token", token],
        &["wipe"],
        &[&enrol[..], &["--link", &link]].concat(),
    ];
    for words in others {
        said.take(traced(words).exits(0));
    }
    said.take(traced(&["erase", "--yes"]).exits(0));

    assert!(said.0.iter().any(|text| text.contains("TRACE ")));
    assert!(
        said.0.iter().any(|text| text.contains(token)),
        "the last four digits may be said"
    );
    let canaries = [
        &number,
        &wrong_number,
        &code,
        wrong_code,
        &reset_code,
        PIN,
        NEXT_PIN,
        PASSWORD,
        NEXT_PASSWORD,
    ];
    for canary in canaries {
        said.never(canary);
    }
    said.never(&link);
    let keys = keys.into_inner();
    assert!(keys.len() > 20, "{} keys", keys.len());
    for key in keys {
        said.never_bytes(&key);
    }
}
