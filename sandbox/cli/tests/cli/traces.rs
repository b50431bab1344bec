//! What a phone leaves on its disk.

use std::path::Path;

use serde_json::Value;

use crate::common::{EXPIRY, Phone, Sandbox, Till};
use crate::field::RECORDS;

/// A text as a file might hold it: in ASCII, in hexadecimal, in UTF-16; a number in BCD as well.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![
        text.as_bytes().to_vec(),
        hex::encode(text).into_bytes(),
        hex::encode_upper(text).into_bytes(),
        text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
    ];
    if let Ok(bcd) = hex::decode(text) {
        // Nearly a BCD number says enough, and would be another's by no chance.
        forms.extend([bcd[1..].to_vec(), bcd]);
    }
    forms
}

#[track_caller]
fn nowhere_in(folder: &Path, number: &str) -> usize {
    let files = std::fs::read_dir(folder).unwrap();
    let mut searched = 0;
    for path in files.map(|file| file.unwrap().path()) {
        let bytes = std::fs::read(&path).unwrap();
        for form in forms(number) {
            let found = bytes.windows(form.len()).any(|part| part == form);
            assert!(!found, "{} is in {}", hex::encode(form), path.display());
        }
        searched += bytes.len();
    }
    searched
}

/// The token's number as the reader is told it in track 2 (the number, then a D), found by what the phone shows of it.
fn token_number(told: &str, card: &Value) -> String {
    let shown = card["token"].as_str().unwrap();
    let (begin, end) = (&shown[..2], &shown[shown.len() - 4..]);
    let mut numbers = told.match_indices(begin).filter_map(|(at, _)| {
        let (number, _) = told[at..].split_once('D')?;
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        (digits && number.len() == 16 && number.ends_with(end)).then(|| number.to_owned())
    });
    numbers
        .next()
        .unwrap_or_else(|| panic!("no {shown} in {told}"))
}

#[test]
fn s20_no_card_or_token_number_lies_on_the_phone_s_disk() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    phone.run(&["pin", "set", "--pin", "194917"]).exits(0);
    let card = phone.cards().remove(0);
    let serving = phone.serve();
    Till::of(&sandbox).tap(&serving.addr, "12.50", &[]).exits(0);
    serving.tapped();
    let mut field = serving.field();
    let options = hex::encode_upper(field.select().gpo(1));
    let records = RECORDS.map(|record| field.hex(record)).concat();
    let token = token_number(&format!("{options} {records}"), &card);
    drop(field);
    serving.tapped();
    let both = |phone: &Phone| {
        for number in [&phone.number, &token] {
            let searched = nowhere_in(&phone.data(), number);
            assert!(searched > 10_000, "{searched} bytes are no wallet");
            nowhere_in(&phone.platform(), number);
        }
    };
    // With the newest pages in the write-ahead log, as a power cut would find them …
    assert!(
        std::fs::metadata(phone.data().join("vault.db-wal"))
            .unwrap()
            .len()
            > 0
    );
    both(&phone);
    serving.stop();
    phone.sync_until(|entries| entries.iter().any(|entry| entry["state"] == "matched"));
    // … after the wallet was closed, and with the card deleted, in free pages.
    both(&phone);
    phone
        .run(&["card", "delete", "--token", &phone.number[12..]])
        .exits(0);
    both(&phone);
    // The provider passes the sealed number on and never sees it.
    nowhere_in(&sandbox.path().join("provider"), &phone.number);
}

#[test]
fn s13_nothing_that_rows_are_looked_up_by_can_be_read_on_the_phone_s_disk() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let serving = phone.serve();
    Till::of(&sandbox).tap(&serving.addr, "12.50", &[]).exits(0);
    serving.tapped();
    serving.running.kill();
    // A question under way, a wish that was not told, and payments as both sides know them.
    let other = Phone::new();
    phone
        .run(&["card", "add", "--number", &other.number, "--expiry", EXPIRY])
        .exits(1);
    phone.sync_until(|entries| entries[0]["state"] == "matched");
    let suspend = ["card", "suspend", "--token", &phone.number[12..]];
    phone.run(&suspend).exits(0);
    let exported = phone.export();
    let (own, provider) = (&exported["phone"], &exported["provider"]);
    let token = &phone.cards()[0]["token_ref"];
    let challenges = provider["card_checks"].as_array().unwrap();
    let mut names = vec![&own["device_id"], &own["user_id"], &own["provider"], token];
    names.push(&own["payments"][0]["merchant"]);
    names.extend(challenges.iter().map(|check| &check["challenge_id"]));
    assert!(names.len() > 6, "{exported:#}");
    for name in names {
        let searched = nowhere_in(&phone.data(), name.as_str().unwrap());
        assert!(searched > 10_000, "{searched} bytes are no wallet");
        nowhere_in(&phone.platform(), name.as_str().unwrap());
    }
}
