//! A phone and its readers: events, the wire, and what a reader may do to it.

use crate::common::{Phone, Sandbox, Till};
use crate::field::{PPSE, RECORDS, SELECT, atc, gpo, status, tear_before_last_record};
use crate::relay::Relay;

#[test]
fn events_as_documented() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let serving = phone.serve();
    assert!(serving.addr.starts_with("127.0.0.1:"));
    Till::of(&sandbox).tap(&serving.addr, "12.50", &[]).exits(0);
    let tap = serving.tapped();
    assert_eq!(tap["atc"], 1);
    assert_eq!(tap["outcome"], "complete");
    // It syncs by itself.
    assert_eq!(serving.running.event("synced")["new"], 1);
    serving.stop();
    assert_eq!(phone.states(), [(1, "matched".to_owned())]);
}

#[test]
fn a_folder_in_use_is_refused_naming_the_process() {
    let sandbox = Sandbox::shared();
    let phone = Phone::enrolled(&sandbox);
    let serving = phone.serve();
    let id = serving.running.id().to_string();
    let error = phone
        .run(&["statement", "--json"])
        .tells(1, &["in use", &id]);
    assert_eq!(
        (&error["code"], &error["reason"]),
        (&5.into(), &serde_json::Value::Null)
    );
    phone.run(&["sync"]).says(1, &["in use", &id]);
    phone.begin_card().says(1, &["in use", &id]);
    phone
        .enrol(sandbox.provider(), sandbox.ca())
        .says(1, &["in use", &id]);
    phone
        .run(&["serve", "--tcp", "127.0.0.1:0"])
        .says(1, &["in use", &id]);
    serving.stop();
    phone.run(&["statement"]).exits(0);
}

#[test]
fn s42_anything_as_an_apdu_gets_a_status_word() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let serving = phone.serve();
    let mut field = serving.field();
    assert_eq!(field.hex(""), "6700", "no bytes at all");
    field.select();
    for (apdu, expected) in [
        ("00", "6700"),
        ("00A404", "6700"),
        ("00A40400FF00", "6700"),
        ("00A4040007A000000004101000", "6A82"),
        ("00A4000000", "6A86"),
        ("90A4040000", "6E00"),
        ("00B2010500", "6A86"),
        ("00B2FF0C00", "6A83"),
        ("00C0000000", "6D00"),
        ("80A8000002830000", "6700"),
        ("80A8000003FF010000", "6A80"),
        ("FFFFFFFF", "6D00"),
        ("FFFFFFFFFFFFFFFF", "6700"),
    ] {
        assert_eq!(field.hex(apdu), expected, "{apdu}");
    }
    assert_eq!(
        status(&field.command(&[0xA5; 65_535])),
        0x6D00,
        "the longest frame"
    );
    // None of it harmed the stay in the field.
    assert_eq!(status(&field.gpo(1)), 0x9000);
}

#[test]
fn s42_noise_never_gets_a_cryptogram_and_never_ends_the_phone() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let serving = phone.serve();
    let mut field = serving.field();
    field.select();
    let mut state = 0x2026_1122_u32;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    let templates = [PPSE, SELECT, RECORDS[0], RECORDS[1]].map(|text| hex::decode(text).unwrap());
    for round in 0..600 {
        // Half of it is noise from the first byte, half are proper commands with a byte changed.
        let apdu: Vec<u8> = match round % 2 {
            0 => (0..1 + noise() % 300)
                .map(|_| noise().to_le_bytes()[1])
                .collect(),
            _ => {
                let mut apdu = templates[usize::try_from(noise()).unwrap() % 4].clone();
                let at = usize::try_from(noise()).unwrap() % apdu.len();
                apdu[at] = noise().to_le_bytes()[2];
                apdu
            }
        };
        let answer = field.command(&apdu);
        let known = matches!(
            status(&answer) >> 8,
            0x90 | 0x67 | 0x69 | 0x6A | 0x6D | 0x6E
        );
        assert!(known, "{} got {}", hex::encode(&apdu), hex::encode(&answer));
    }
    drop(field);
    assert_eq!(atc(&serving.field().select().gpo(1)), 1);
}

#[test]
fn a_reader_that_breaks_off_inside_a_frame_has_left_the_field() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let serving = phone.serve();
    for fragment in [&[0][..], &[0, 20], &[0, 20, 0x00, 0xA4]] {
        serving.field().raw(fragment);
    }
    assert_eq!(atc(&serving.field().select().gpo(1)), 1);
}

#[test]
fn the_same_gpo_again_in_one_field_gets_the_same_bytes() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let serving = phone.serve();
    let mut field = serving.field();
    let first = field.select().gpo(7);
    assert_eq!(field.gpo(7), first);
    // Also after another selection of the same application.
    assert_eq!(field.select().gpo(7), first);
    drop(field);
    assert_eq!(serving.tapped()["atc"], atc(&first));
    // Another field is another payment.
    let second = serving.field().select().gpo(7);
    assert!(atc(&second) > atc(&first));
    serving.tapped();
    serving.stop();
    assert_eq!(phone.states().len(), 2);
}

#[test]
fn three_new_cryptograms_leave_in_one_field_and_no_fourth() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let serving = phone.serve();
    let mut field = serving.field();
    field.select();
    let answers = [1, 2, 3].map(|unpredictable| field.gpo(unpredictable));
    let mut atcs = answers.each_ref().map(|answer| atc(answer)).to_vec();
    assert_eq!(field.gpo(4), [0x69, 0x85]);
    assert_eq!(
        field.gpo(3),
        answers[2],
        "the last one may be asked for again"
    );
    drop(field);
    atcs.push(atc(&serving.field().select().gpo(4)));
    assert!(atcs.is_sorted_by(|one, next| one < next), "{atcs:?}");
}

#[test]
fn gpo_without_selection_is_refused() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let serving = phone.serve();
    let mut field = serving.field();
    assert_eq!(field.command(&gpo(1)), [0x69, 0x85]);
    assert_eq!(field.hex(RECORDS[0]), "6985");
}

#[test]
fn a_tap_broken_off_is_incomplete_and_matched_once_when_the_payment_was_made_all_the_same() {
    let sandbox = Sandbox::shared();
    let relay = Relay::to(&sandbox);
    let phone = Phone::with_card_through(&sandbox, &relay.url());
    // Until it is said otherwise, the phone knows only what it saw itself.
    relay.cut();
    let serving = phone.serve();
    let mut field = serving.field();
    field.select();
    let last_record = hex::decode(field.hex(RECORDS[1])).unwrap();
    drop(field);

    let torn = tear_before_last_record(&serving.addr, last_record).to_string();
    let paid = Till::of(&sandbox).tap(&torn, "12.50", &[]).exits(0).json();
    let tap = serving.tapped();
    assert_eq!(tap["outcome"], "incomplete");
    assert_eq!(tap["atc"], paid["atc"]);
    serving.stop();
    let atc = paid["atc"].as_u64().unwrap();
    assert_eq!(phone.states(), [(atc, "incomplete".to_owned())]);

    relay.mend(&sandbox);
    let entries = phone.sync_until(|entries| entries[0]["state"] == "matched");
    assert_eq!(entries.len(), 1, "{entries:#?}");
    assert_eq!(entries[0]["amount_minor"], 1250);
    phone.run(&["sync"]).exits(0);
    assert_eq!(phone.states(), [(atc, "matched".to_owned())]);
}
