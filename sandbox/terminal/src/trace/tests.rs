//! Known strings and what must be said of them.

use super::*;

fn bytes(text: &str) -> Vec<u8> {
    let text: String = text.split_whitespace().collect();
    hex::decode(text).unwrap()
}

fn said(text: &str) -> String {
    let mut decoder = Decoder::for_person(false, None);
    decoder.explain(&bytes(text)).unwrap().to_text(0)
}

#[track_caller]
fn says(text: &str, words: &[&str]) {
    let said = said(text);
    for word in words {
        assert!(said.contains(word), "no {word:?} in\n{said}");
    }
}

#[test]
fn a_conversation_is_explained_and_masked() {
    let mut decoder = Decoder::default();
    let select = decoder.command(&bytes("00A4040008A00000033301010100"));
    assert_eq!(select, "-> SELECT (00 A4 04 00)  A000000333010101\n");
    let answer = decoder.response(&bytes(
        "6F178408A000000333010101A50B5F2D027A689F38039F66049000",
    ));
    assert!(
        answer.starts_with("<- 9000 OK, 25 bytes of data\n   6F "),
        "{answer}"
    );
    assert!(
        answer.contains("5F2D Language Preference: 7A68 \"zh\""),
        "{answer}"
    );
    assert!(answer.contains("wants 9F66, length 4"), "{answer}");
    let options = decoder.command(&bytes("80A800000683046680000000"));
    assert!(
        options.contains("9F66 Terminal Transaction Qualifiers (TTQ): 66800000"),
        "{options}"
    );
    assert!(options.contains("bit 6  qPBOC supported"), "{options}");
    let record = "701E5A08622848040256489057126228480402564890D291222000000000123F9000";
    let record = decoder.response(&bytes(record));
    assert!(record.contains("622848******4890"), "{record}");
    assert!(
        !record.contains("0402564890") && !record.contains("123"),
        "{record}"
    );
}

#[test]
fn any_bytes_are_survived() {
    let mut decoder = Decoder::default();
    let mut person = Decoder::for_person(true, None);
    let mut seed = 1u32;
    for length in 0..200usize {
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                seed.to_be_bytes()[0]
            })
            .collect();
        decoder.command(&bytes);
        decoder.response(&bytes);
        drop(person.explain(&bytes).map(|node| node.to_text(0)));
    }
}

#[test]
fn the_directory_of_two_schemes() {
    says(
        "6F45 840E325041592E5359532E4444463031 A533BF0C30 \
         611C4F08A0000003330101015009517569636B506173738701019F2A0107 \
         61104F07A000000003101050025631870102 9000",
        &[
            "9000 OK",
            "84 Dedicated File (DF) Name: 325041592E5359532E4444463031 \"2PAY.SYS.DDF01\"",
            "61 Application Template",
            "87 Application Priority Indicator: 01 (priority 1)",
            "9F2A Kernel Identifier: 07",
            "bits 6-1  kernel 7",
        ],
    );
}

#[test]
fn an_answer_to_get_processing_options() {
    says(
        "774B 82022000 940408010201 5713 6258070000001234D29122010000000000000F 5F340101 \
         9F100C 0B010103A000000106570201 9F2608 0102030405060708 9F270180 9F36020007 9F6C020080 9000",
        &[
            "bit 6  DDA supported",
            "file 1, records 1 to 2, the first 1 signed",
            "57 Track 2 Equivalent Data: 625807******1234D2912201",
            "limited-use key 6570201",
            "byte 5  1010 0000\n",
            "bits 6-5  first cryptogram: ARQC",
            "bits 8-7  ARQC, the issuer is to be asked",
            "9F36 Application Transaction Counter (ATC): 0007 (7)",
            "bit 8  verification performed on the device",
            "as UnionPay has it",
        ],
    );
}

#[test]
fn what_the_application_is_decides_what_its_bits_mean() {
    let mut decoder = Decoder::for_person(false, None);
    let mut say = |text: &str| decoder.explain(&bytes(text)).unwrap().to_text(0);
    say("00A4040007A000000003101000");
    let fci = say("6F118407A0000000031010A5069F38039F66049000");
    assert!(fci.contains("wants 9F66, length 4"), "{fci}");
    let options = say("80A8000006830421804000 00");
    assert!(options.contains("bit 6  EMV mode supported"), "{options}");
    assert!(!options.contains("as Visa has it"), "{options}");

    say("00A4040007A000000004101000");
    let record = say("7005 8C03 9F0206 9000");
    assert!(record.contains("wants 9F02, length 6"), "{record}");
    let generate = say("80AE9000 06 000000001250 00");
    assert!(generate.contains("asks for an ARQC with CDA"), "{generate}");
    assert!(
        generate.contains("9F02 Amount, Authorised (Numeric): 000000001250 (12.50"),
        "{generate}"
    );
    let answer = say("770A 9F270100 DF4B03000100 9000");
    assert!(
        answer.contains("bit 1  the holder must be verified on the phone"),
        "{answer}"
    );
    assert!(answer.contains("AAC, declined by the card"), "{answer}");
}

#[test]
fn results_lists_and_capabilities() {
    says(
        "9505 8000048000",
        &["online PIN entered", "floor limit exceeded"],
    );
    says(
        "8E0E 00000000 00000000 4203 5E03 1F00",
        &[
            "online PIN, if the terminal supports it, else the next",
            "no verification, always, else fail",
        ],
    );
    says(
        "9F3403 1F0002",
        &[
            "method: no verification",
            "condition: always",
            "result: successful",
        ],
    );
    says("9F3303 0008C8", &["no verification", "bit 4  CDA"]);
    says(
        "9F3501 22",
        &["run by a merchant", "attended, offline with online"],
    );
    says(
        "9F6908 01 11223344 0080 00",
        &["card unpredictable number 11223344", "qualifiers 0080"],
    );
    says("6985", &["6985 conditions of use not satisfied"]);
    says("6986", &["see phone"]);
}

#[test]
fn a_list_by_itself_and_values_by_a_list() {
    says(
        "9F66049F02069F03069F1A0295055F2A029A039C019F3704",
        &[
            "data object list of 24 bytes",
            "wants 9F37, length 4: Unpredictable Number",
        ],
    );
    let mut decoder = Decoder::for_person(false, Some(Scheme::Visa));
    decoder.set_list(&bytes("9F02065F2A02")).unwrap();
    let node = decoder.explain(&bytes("80A80000 0A 8308 0000000012500156 00"));
    let said = node.unwrap().to_text(0);
    assert!(
        said.contains("5F2A Transaction Currency Code: 0156 (CNY)"),
        "{said}"
    );
    let both = decoder.set_list(&bytes("9F")).unwrap_err();
    assert_eq!(both.to_string(), "at offset 0: the list ends inside a tag");
}

#[test]
fn a_tree_has_every_bit_and_hides_numbers_until_told() {
    let record = bytes("7015 5A086258070000001234 5F2403291231 9F0702FF80");
    let masked = Decoder::for_person(false, None).explain(&record).unwrap();
    let tree = serde_json::to_value(&masked).unwrap();
    assert_eq!(tree["tag"], "70");
    assert_eq!(tree["length"], 21);
    assert!(tree["value"].is_null());
    assert_eq!(tree["children"][0]["value"], "625807******1234");
    assert_eq!(tree["children"][1]["meaning"], "2029-12-31");
    let usage = &tree["children"][2];
    assert_eq!(usage["bits"].as_array().unwrap().len(), 9);
    let last = serde_json::json!({
        "byte": 2, "bits": "8", "value": 1, "meaning": "domestic cashback",
    });
    assert_eq!(usage["bits"][8], last);
    // A cryptogram that looks like a card number is none.
    let chance = bytes("9F2608 4111111111111111");
    let mut person = Decoder::for_person(false, None);
    let cryptogram = person.explain(&chance).unwrap();
    assert_eq!(cryptogram.value.as_deref(), Some("4111111111111111"));
    let whole = Decoder::for_person(true, None).explain(&record).unwrap();
    assert_eq!(whole.children[0].value.as_deref(), Some("6258070000001234"));
}

#[test]
fn what_is_malformed_is_told_with_its_offset() {
    let mistake = |text: &str| {
        let mut decoder = Decoder::for_person(false, None);
        decoder.explain(&bytes(text)).unwrap_err().to_string()
    };
    assert_eq!(mistake(""), "at offset 0: there is nothing to decode");
    assert!(mistake("770A 9F2608 01").starts_with("at offset 0: "));
    assert!(mistake("8202 2000 9F2608 01").starts_with("at offset 4: "));
}
