//! Merchants' codes: the specification's own, and every way to damage one.

use super::*;

/// The example of EMV QRCPS MPM 1.1: a dynamic code of a Chinese shop, its checksum A13A. Public parsers test with it, among
/// them `dongri/emv-qrcode` (Go) and Exemvi (Elixir).
const BEST_TRANSPORT: &str = "00020101021229300012D156000000000510A93FO3230Q31280012D15600000001030812345678520441115802CN\
     5914BEST TRANSPORT6007BEIJING64200002ZH0104最佳运输0202北京540523.7253031565502016233030412340603***0708A6008667\
     0902ME91320016A0112233449988770708123456786304A13A";

/// A code of these objects, with its right checksum.
fn sealed(body: &str) -> String {
    let covered = format!("{body}6304");
    let crc = crc(covered.as_bytes());
    format!("{covered}{crc:04X}")
}

fn object(id: u8, value: &str) -> String {
    format!("{id:02}{:02}{value}", value.chars().count())
}

/// A static code without an amount, with objects replaced, added (any other id) or left out (an empty value).
fn code_with(changes: &[(u8, &str)]) -> String {
    let plain = [
        (0, "01"),
        (2, "4000123456789012"),
        (52, "5812"),
        (53, "156"),
        (58, "CN"),
        (59, "NOODLES"),
        (60, "XIAN"),
    ];
    let changed = |id: u8| changes.iter().find(|(changed, _)| *changed == id);
    let mut body = String::new();
    for (id, value) in plain {
        let value = changed(id).map_or(value, |(_, value)| value);
        if !value.is_empty() {
            body.push_str(&object(id, value));
        }
    }
    for (id, value) in changes {
        if !plain.iter().any(|(plain, _)| plain == id) {
            body.push_str(&object(*id, value));
        }
    }
    sealed(&body)
}

fn read_with(changes: &[(u8, &str)]) -> Result<MerchantCode, MpmError> {
    parse(&code_with(changes))
}

#[test]
fn the_specifications_chinese_example() {
    let code = parse(BEST_TRANSPORT).unwrap();
    assert_eq!(code.initiation, Initiation::Dynamic);
    let template = |id, identifier: &str, object: u8, value: &str| Template {
        id,
        identifier: identifier.into(),
        objects: vec![(object, value.into())],
    };
    assert_eq!(
        code.accounts,
        [
            MerchantAccount::Template(template(29, "D15600000000", 5, "A93FO3230Q")),
            MerchantAccount::Template(template(31, "D15600000001", 3, "12345678")),
        ]
    );
    assert_eq!(code.category, "4111");
    let amount = code.amount.unwrap();
    assert_eq!((amount.minor, amount.currency), (2372, Currency::CNY));
    assert_eq!(code.tip, Some(Tip::Asked));
    assert_eq!(
        (code.country.as_str(), code.city.as_str()),
        ("CN", "BEIJING")
    );
    assert_eq!(code.name, "BEST TRANSPORT");
    let local = code.local.unwrap();
    assert_eq!(
        (local.language.as_str(), local.name.as_str()),
        ("ZH", "最佳运输")
    );
    assert_eq!(local.city.as_deref(), Some("北京"));
    let additional = &code.additional;
    assert_eq!(additional.get(AdditionalData::STORE), Some("1234"));
    assert_eq!(additional.get(AdditionalData::CUSTOMER), Some("***"));
    assert_eq!(additional.get(AdditionalData::TERMINAL), Some("A6008667"));
    assert_eq!(additional.get(AdditionalData::ASKS), Some("ME"));
    assert_eq!(additional.get(AdditionalData::BILL), None);
    assert_eq!(
        code.unreserved,
        [template(91, "A011223344998877", 7, "12345678")]
    );
}

/// What other people's programs make: the README files of phannaly/emv-qr-code (Kotlin) and dongri/emv-qrcode (Go), and a
/// bank's test code of Hong Kong's Faster Payment System.
#[test]
fn codes_of_other_programs() {
    for (code, account, amount) in [
        (
            "00020101021252044131153137210116372101160123456789ABCDE6016Banteay Meanchey5913Kuntheas Shop5802KH540510.00\
             5303840621201081234567863041FF2",
            15,
            (1000, "USD"),
        ),
        (
            "0002010102121516ABCDEF123456789052045311530339254039995802JP5906DONGRI6005TOKYO62240104hoge0504fuga0704piyo\
             63043FE6",
            15,
            (999, "JPY"),
        ),
        (
            "00020101021226320012hk.com.hkicl0207600050906011520400005303344540510.505802HK5902NA6002HK62270523HKTEST202\
             103190606259626304BCD1",
            26,
            (1050, "HKD"),
        ),
    ] {
        let code = parse(code).unwrap();
        let ids = code.accounts.iter().map(|account| match account {
            MerchantAccount::Reserved { id, .. } => *id,
            MerchantAccount::Template(template) => template.id,
        });
        assert_eq!(ids.collect::<Vec<_>>(), [account]);
        let money = code.amount.unwrap();
        assert_eq!((money.minor, money.currency.code()), amount);
    }
}

#[test]
fn a_static_code_leaves_the_amount_to_the_person() {
    for initiation in [&[][..], &[(1, "11")]] {
        let code = read_with(initiation).unwrap();
        assert_eq!(code.initiation, Initiation::Static);
        assert_eq!(code.amount, None);
        assert_eq!(
            code.accounts,
            [MerchantAccount::Reserved {
                id: 2,
                value: "4000123456789012".into()
            }]
        );
    }
}

#[test]
fn a_checksum_may_be_in_small_letters() {
    let small = BEST_TRANSPORT.replace("A13A", "a13a");
    assert!(parse(&small).is_ok());
}

#[test]
fn each_changed_character_is_noticed() {
    let characters: Vec<char> = BEST_TRANSPORT.chars().collect();
    for at in 0..characters.len() {
        for other in ['0', '7', 'Z', '海'] {
            let mut changed = characters.clone();
            if changed[at] == other {
                continue;
            }
            changed[at] = other;
            let changed: String = changed.into_iter().collect();
            let refused = parse(&changed).unwrap_err();
            let damage = matches!(
                refused,
                MpmError::Crc
                    | MpmError::NoCrc
                    | MpmError::Truncated { .. }
                    | MpmError::Id { .. }
                    | MpmError::Length { .. }
            );
            assert!(damage, "{changed}: {refused:?}");
        }
    }
}

#[test]
fn each_truncated_code_is_noticed() {
    for (end, _) in BEST_TRANSPORT.char_indices() {
        let refused = parse(&BEST_TRANSPORT[..end]).unwrap_err();
        assert!(
            matches!(refused, MpmError::Truncated { .. } | MpmError::NoCrc),
            "{end}: {refused:?}"
        );
    }
}

#[test]
fn a_checksum_in_the_wrong_place_or_form_is_none() {
    let covered = BEST_TRANSPORT.strip_suffix("6304A13A").unwrap();
    assert_eq!(parse(covered), Err(MpmError::NoCrc));
    for end in [
        "6304A1G3",
        "6304+13A",
        "6303A13",
        "6305A13A0",
        "6304A13A5901X",
    ] {
        assert_eq!(
            parse(&format!("{covered}{end}")),
            Err(MpmError::NoCrc),
            "{end}"
        );
    }
    assert_eq!(parse(&format!("{covered}6304A13B")), Err(MpmError::Crc));
    assert_eq!(parse(""), Err(MpmError::NoCrc));
}

#[test]
fn what_every_code_must_have() {
    for id in [52, 53, 58, 59, 60] {
        assert_eq!(read_with(&[(id, "")]), Err(MpmError::Missing(id)));
    }
    assert_eq!(read_with(&[(2, "")]), Err(MpmError::Missing(2)));
    assert_eq!(read_with(&[(0, "")]), Err(MpmError::Version));
    assert_eq!(read_with(&[(0, "02")]), Err(MpmError::Version));
    // The version comes first.
    let later = sealed(&format!("{}000201", object(52, "5812")));
    assert_eq!(parse(&later), Err(MpmError::Version));
}

#[test]
fn an_object_stands_once() {
    let plain = code_with(&[]);
    let body = plain.get(..plain.len() - 8).unwrap();
    for (id, value) in [(59, "OTHER"), (54, "1"), (53, "840"), (70, "x")] {
        let twice = [object(id, value), object(id, value)].concat();
        assert_eq!(
            parse(&sealed(&format!("{body}{twice}"))),
            Err(MpmError::Duplicate(id))
        );
    }
    let twice = [object(63, "FFFF"), object(61, "100")].concat();
    assert_eq!(
        parse(&sealed(&format!("{body}{twice}"))),
        Err(MpmError::Duplicate(63))
    );
}

#[test]
fn values_of_another_form_are_refused() {
    for (id, value) in [
        (1, "13"),
        (52, "58A2"),
        (52, "581"),
        (53, "CNY"),
        (53, "15"),
        (58, "cn"),
        (58, "CHN"),
        (58, "中"),
    ] {
        assert_eq!(
            read_with(&[(id, value)]),
            Err(MpmError::Value(id)),
            "{value}"
        );
    }
}

#[test]
fn amounts_are_exact_and_in_the_codes_currency() {
    let amount = |currency: &str, text: &str| {
        let code = read_with(&[(53, currency), (54, text)])?;
        Ok(code.amount.map(|money| (money.minor, money.currency)))
    };
    let yen = Currency::from_code("JPY").unwrap();
    assert_eq!(amount("392", "999"), Ok(Some((999, yen))));
    assert_eq!(amount("156", "0.29"), Ok(Some((29, Currency::CNY))));
    assert_eq!(amount("392", "9.9"), Err(MpmError::AmountDecimals));
    assert_eq!(amount("156", "0.291"), Err(MpmError::AmountDecimals));
    assert_eq!(amount("156", "12,50"), Err(MpmError::AmountForm));
    assert_eq!(amount("156", "0"), Err(MpmError::AmountZero));
    let hostile = "9".repeat(99);
    assert_eq!(amount("156", &hostile), Err(MpmError::AmountTooLarge));
    assert_eq!(amount("999", "1"), Err(MpmError::Currency));
}

#[test]
fn tips_and_fees_belong_to_their_indicator() {
    let tip = |objects: &[(u8, &str)]| read_with(objects).map(|code| code.tip);
    let fee = Money {
        minor: 150,
        currency: Currency::CNY,
    };
    assert_eq!(tip(&[]), Ok(None));
    assert_eq!(tip(&[(55, "01")]), Ok(Some(Tip::Asked)));
    assert_eq!(tip(&[(55, "02"), (56, "1.5")]), Ok(Some(Tip::Fixed(fee))));
    assert_eq!(
        tip(&[(55, "03"), (57, "12.50")]),
        Ok(Some(Tip::HundredthsOfPercent(1250)))
    );
    for objects in [
        &[(55, "04")][..],
        &[(55, "02")],
        &[(55, "03")],
        &[(56, "1")],
        &[(57, "1")],
        &[(55, "01"), (56, "1")],
        &[(55, "02"), (56, "1"), (57, "1")],
        &[(55, "03"), (57, "100.00")],
    ] {
        assert_eq!(tip(objects), Err(MpmError::Tip), "{objects:?}");
    }
}

#[test]
fn templates_hold_objects_and_name_their_owner() {
    for (id, content) in [
        (26, "x"),
        (26, "0005abc"),
        (26, "0102AB"),
        (51, "0002AB0002CD"),
        (62, "01020"),
        (62, "0101A0101B"),
        (64, "0102XY"),
        (64, "0002ZH"),
        (80, "0102AB"),
        (99, "9"),
    ] {
        assert_eq!(
            read_with(&[(id, content)]),
            Err(MpmError::Template(id)),
            "{content}"
        );
    }
    // Ids for later use say nothing here.
    assert!(read_with(&[(65, "x"), (79, "anything")]).is_ok());
}

#[test]
fn hostile_lengths_end_in_a_refusal() {
    for body in ["0099", "000201", "00020199990000", "0002019900"] {
        assert!(parse(body).is_err(), "{body}");
        assert!(parse(&sealed(body)).is_err(), "{body}");
    }
    let endless = "0".repeat(7_090);
    assert_eq!(parse(&endless), Err(MpmError::TooLong));
    assert_eq!(parse(&"北".repeat(100_000)), Err(MpmError::TooLong));
}

/// Objects cut, doubled, swapped and overwritten, with and without a right checksum: an answer each time.
#[test]
fn s42_no_text_makes_the_parser_panic() {
    // Marsaglia's xorshift64.
    let mut state = 0x5EED_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below.max(1)).unwrap()).unwrap()
    };
    let alphabet: Vec<char> = "0123456789ABxé北\u{10FFFF}\0. ".chars().collect();
    let size = std::env::var("TAPCORE_TEST_SIZE").map_or(5_000, |size| size.parse().unwrap());
    let mut accepted = 0;
    for _ in 0..size {
        let mut text: Vec<char> = BEST_TRANSPORT.chars().collect();
        for _ in 0..random(4) {
            let at = random(text.len());
            let until = (at + random(8)).min(text.len());
            match random(4) {
                0 => drop(text.drain(at..until)),
                1 => text.insert(at, alphabet[random(alphabet.len())]),
                2 => text.extend_from_within(at..until),
                _ => text[at] = alphabet[random(alphabet.len())],
            }
        }
        let text: String = text.into_iter().collect();
        let damaged = parse(&text);
        accepted += usize::from(damaged.is_ok());
        let body = text
            .rsplit_once("6304")
            .map_or(text.as_str(), |(body, _)| body);
        accepted += usize::from(parse(&sealed(body)).is_ok());
    }
    assert!(accepted > size / 10, "{accepted} of {size}");
}
