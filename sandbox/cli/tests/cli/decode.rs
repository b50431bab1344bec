//! `tapcore decode`: text and JSON, several messages, and everything that cannot be decoded.

use serde_json::Value;

use crate::common::{Running, tapcore};

/// An answer to GPO: AIP, AFL, track 2, cryptogram information, counter, qualifiers.
const ANSWER: &str = "772D820200009404080102015713625807000000 1234D29122010000000000000F\
                      9F2701809F360200079F6C0200809000";

#[test]
fn every_tag_and_bit_is_named_and_the_number_masked() {
    let words = [
        "9000 OK",
        "94 Application File Locator (AFL): 08010201",
        "9F27 Cryptogram Information Data: 80 (ARQC, the issuer is to be asked)",
        "bit 8  verification performed on the device",
        "625807******1234",
    ];
    let decoded = tapcore(&["decode", ANSWER]).exits(0);
    for word in words {
        assert!(
            decoded.out.contains(word),
            "no {word:?} in\n{}",
            decoded.out
        );
    }
    assert!(!decoded.out.contains("6258070000001234"), "{}", decoded.out);
    let whole = tapcore(&["decode", "--reveal", ANSWER]).exits(0);
    assert!(
        whole.out.contains("6258070000001234D2912201"),
        "{}",
        whole.out
    );
    // Words that a shell has cut apart are one message.
    let cut: Vec<&str> = ["decode"].into_iter().chain(ANSWER.split(' ')).collect();
    assert_eq!(tapcore(&cut).exits(0).out, decoded.out);
}

#[test]
fn the_tree_has_the_documented_members() {
    let tree = tapcore(&["decode", "--json", ANSWER]).exits(0).json();
    let template = &tree["children"][0];
    assert_eq!(
        [&template["tag"], &template["length"]],
        [&Value::from("77"), &45.into()]
    );
    let qualifiers = template["children"].as_array().unwrap().last().unwrap();
    assert_eq!(qualifiers["tag"], "9F6C");
    assert_eq!(qualifiers["name"], "Card Transaction Qualifiers (CTQ)");
    assert_eq!(qualifiers["value"], "0080");
    assert_eq!(qualifiers["bits"][0]["byte"], 2);
    assert_eq!(qualifiers["children"].as_array().unwrap().len(), 0);
}

#[test]
fn a_conversation_is_read_line_by_line() {
    let mut running = Running::start(&["decode", "-"]);
    running.type_in(
        "# a tap\n-> 00A4040007A000000003101000\n<- 6F118407A0000000031010A5069F38039F66049000\n\n\
         80A8000006830421804000 00\n",
    );
    let decoded = running.end().exits(0);
    assert!(
        decoded.out.contains("wants 9F66, length 4"),
        "{}",
        decoded.out
    );
    assert!(
        decoded.out.contains("bit 6  EMV mode supported"),
        "{}",
        decoded.out
    );
}

#[test]
fn a_scheme_and_a_list_can_be_named() {
    let options = ["decode", "80A80000 06 8304 21804000 00", "--dol", "9F6604"];
    let visa = tapcore(&[&options[..], &["--scheme", "visa"]].concat()).exits(0);
    assert!(
        visa.out.contains("bit 6  EMV mode supported"),
        "{}",
        visa.out
    );
    let unionpay = tapcore(&options).exits(0);
    assert!(
        unionpay.out.contains("bit 6  qPBOC supported"),
        "{}",
        unionpay.out
    );
}

#[test]
fn what_cannot_be_decoded_is_told_with_its_place() {
    tapcore(&["decode", "82020000950500"]).says(1, &["offset 4"]);
    tapcore(&["decode", "8202000"]).says(1, &["7 hexadecimal digits"]);
    tapcore(&["decode", "82 02 zz"]).says(1, &["character 7"]);
    tapcore(&["decode", ""]).says(1, &["nothing to decode"]);
    tapcore(&["decode", "9000", "--dol", "9F"]).says(1, &["--dol", "offset 0"]);
    tapcore(&["decode"]).exits(2);
    let mut running = Running::start(&["decode", "-"]);
    running.type_in("9000\n8202\n");
    let ended = running.end().exits(1);
    assert!(ended.out.starts_with("9000 OK"), "{ended:?}");
    assert!(ended.err.contains("line 2: at offset 0"), "{ended:?}");
}
