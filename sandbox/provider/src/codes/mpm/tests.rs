//! Shops' codes: the acquirer's own, others', and every way to damage one.

use super::*;

/// The example of EMV QRCPS MPM 1.1: a dynamic code of a Chinese shop in another network, its checksum A13A.
const BEST_TRANSPORT: &str = "00020101021229300012D156000000000510A93FO3230Q31280012D15600000001030812345678520441115802CN\
     5914BEST TRANSPORT6007BEIJING64200002ZH0104最佳运输0202北京540523.7253031565502016233030412340603***0708A6008667\
     0902ME91320016A0112233449988770708123456786304A13A";

fn object(id: &str, value: &str) -> String {
    format!("{id}{:02}{value}", value.chars().count())
}

/// A code of these objects with its checksum, computed bit by bit.
fn sealed(body: &str) -> String {
    let covered = format!("{body}6304");
    let crc = covered.bytes().fold(0xFFFF_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| match crc & 0x8000 {
            0 => crc << 1,
            _ => crc << 1 ^ 0x1021,
        })
    });
    format!("{covered}{crc:04X}")
}

fn account() -> String {
    let parts = [
        object("00", SCHEME),
        object("01", "acquirer"),
        object("02", "898110058120001"),
    ];
    parts.concat()
}

/// A dynamic code with objects replaced, added, or left out (an empty value).
fn code_with(changes: &[(&str, &str)]) -> String {
    let account = account();
    let plain = [
        ("00", "01"),
        ("01", "12"),
        ("26", account.as_str()),
        ("52", "5812"),
        ("53", "156"),
        ("54", "12.50"),
        ("58", "CN"),
        ("59", "SOMEBODY ELSE"),
        ("60", "CHENGDU"),
        ("62", "0503A-10708T0000001"),
    ];
    let changed = |id: &str| changes.iter().find(|(changed, _)| *changed == id);
    let mut body = String::new();
    for (id, value) in plain {
        let value = changed(id).map_or(value, |(_, value)| value);
        if !value.is_empty() {
            body.push_str(&object(id, value));
        }
    }
    for (id, value) in changes {
        if !plain.iter().any(|(plain, _)| plain == id) {
            body.push_str(&object(id, value));
        }
    }
    sealed(&body)
}

fn refusal(changes: &[(&str, &str)]) -> (u16, String) {
    let problem = Problem::from(read(&code_with(changes)).unwrap_err());
    (problem.status, problem.code)
}

#[test]
fn an_order_s_code_and_one_for_many_payments() {
    let code = read(&code_with(&[])).unwrap();
    let expected = ShopCode {
        acquirer_id: "acquirer".to_owned(),
        merchant_id: "898110058120001".to_owned(),
        currency: "CNY",
        amount_minor: Some(1250),
        order_id: Some("A-1".to_owned()),
        terminal_id: Some("T0000001".to_owned()),
    };
    assert_eq!(code, expected);
    // A reference on a sticker is no order, since the sticker stands for many.
    for initiation in ["11", ""] {
        let code = read(&code_with(&[("01", initiation), ("54", "")])).unwrap();
        assert_eq!((code.amount_minor, code.order_id), (None, None));
    }
    // Chinese names count by characters, and another network's template beside ours does not matter.
    let beside = [("64", "0002zh0105陈麻婆豆腐"), ("27", "anything at all")];
    assert_eq!(read(&code_with(&beside)), Ok(expected));
}

#[test]
fn other_networks_codes_are_foreign() {
    assert_eq!(read(BEST_TRANSPORT), Err(Unread::Foreign));
    let foreign = (404, "payee_unknown".to_owned());
    assert_eq!(refusal(&[("26", "0005other")]), foreign);
    assert_eq!(refusal(&[("26", ""), ("02", "4000123456789012")]), foreign);
}

#[test]
fn damage_is_seen() {
    let code = code_with(&[]);
    for end in code.char_indices().map(|(at, _)| at) {
        assert!(
            matches!(read(&code[..end]), Err(Unread::Invalid(_))),
            "{end}"
        );
    }
    let altered = code.replace("12.50", "10.50");
    let wrong = Unread::Invalid("The code's checksum is wrong.");
    assert_eq!(read(&altered), Err(wrong));
    let lower = format!(
        "{}{}",
        &code[..code.len() - 4],
        code[code.len() - 4..].to_lowercase()
    );
    assert!(read(&lower).is_ok());
    for hostile in [
        "0002".to_owned(),
        "00990101".to_owned(),
        "000001".to_owned(),
        "00020101021263049999".to_owned(),
        "最佳运输".to_owned(),
        "0最02".to_owned(),
        "00+201".to_owned(),
        "9".repeat(10_000),
        sealed("0002020102"),
        sealed(""),
    ] {
        assert!(
            matches!(read(&hostile), Err(Unread::Invalid(_))),
            "{hostile}"
        );
    }
}

#[test]
fn what_a_code_must_say_is_insisted_on() {
    let invalid = (422, "merchant_code_invalid".to_owned());
    let twice = account();
    for changes in [
        &[("53", "999")][..],
        &[("53", "")],
        &[("54", "12,50")],
        &[("54", "12.505")],
        &[("54", "0.00")],
        &[("54", "")],
        &[("54", "99999999999999")],
        &[("01", "13")],
        &[("55", "01")],
        &[("62", "0708T0000001")],
        &[("62", "05")],
        &[("62", "0503A 1")],
        &[("26", "0019dev.tapcore.sandbox0108acquirer")],
        &[("26", "0019dev.tapcore.sandbox0103a b0201m")],
        &[("27", twice.as_str())],
    ] {
        assert_eq!(refusal(changes), invalid, "{changes:?}");
    }
}

#[test]
fn amounts_are_exact() {
    for (text, exponent, expected) in [
        ("12.50", 2, Some(1250)),
        ("12.5", 2, Some(1250)),
        ("12", 2, Some(1200)),
        ("12.", 2, Some(1200)),
        ("500", 0, Some(500)),
        ("500.0", 0, None),
        (".5", 2, None),
        ("-1", 2, None),
        ("1e3", 2, None),
        ("", 2, None),
        ("0", 2, None),
        ("9999999999.99", 2, Some(999_999_999_999)),
    ] {
        assert_eq!(minor(text, exponent), expected, "{text}");
    }
}
