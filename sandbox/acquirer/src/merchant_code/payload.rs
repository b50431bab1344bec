//! The characters of a merchant's code (EMV QRCPS, Merchant-Presented Mode): objects of two digits of id, two of length *in
//! characters*, and the value; a checksum over the bytes ends them.

use crc::{CRC_16_IBM_3740, Crc};
use sandbox_kit::iso;

use crate::Merchant;

/// Names the template that says whom to pay: its identifier is the scheme's, a reversed domain name.
pub(super) const SCHEME: &str = "dev.tapcore.sandbox";

/// The most characters of a name, of a city, and of what object 62 holds.
const NAME: usize = 25;
const CITY: usize = 15;
pub(super) const LABEL: usize = 25;

/// Also called CCITT-FALSE: polynomial 1021, initial value FFFF, nothing reflected.
static CHECKSUM: Crc<u16> = Crc::<u16>::new(&CRC_16_IBM_3740);

/// What a code is for.
pub(super) struct Order<'a> {
    pub(super) order_id: &'a str,
    /// Minor units.
    pub(super) amount_minor: i64,
}

/// Writes a code: with an order for one payment, without one for many. `None` when the merchant's currency or country has no
/// ISO name here, or a value more characters than its object.
pub(super) fn write(
    acquirer_id: &str,
    merchant: &Merchant,
    terminal_id: &str,
    order: Option<&Order<'_>>,
) -> Option<String> {
    let currency = iso::currency(&merchant.currency)?;
    let mut code = Objects::default();
    code.add("00", "01")?;
    code.add("01", if order.is_some() { "12" } else { "11" })?;
    let mut account = Objects::default();
    account.add("00", SCHEME)?;
    account.add("01", acquirer_id)?;
    account.add("02", &merchant.merchant_id)?;
    code.add("26", &account.0)?;
    code.add("52", &merchant.mcc)?;
    code.add("53", currency.number)?;
    if let Some(order) = order {
        code.add("54", &decimal(order.amount_minor, currency.exponent)?)?;
    }
    code.add("58", iso::country_letters(&merchant.country)?)?;
    code.add("59", &cut(&merchant.latin_name, NAME))?;
    code.add("60", &cut(&merchant.city, CITY))?;
    let mut additional = Objects::default();
    if let Some(order) = order {
        additional.add("05", &cut(order.order_id, LABEL))?;
    }
    additional.add("07", &cut(terminal_id, LABEL))?;
    code.add("62", &additional.0)?;
    if !merchant.name.is_ascii() {
        let mut local = Objects::default();
        local.add("00", "zh")?;
        local.add("01", &cut(&merchant.name, NAME))?;
        code.add("64", &local.0)?;
    }
    let mut code = code.0;
    code.push_str("6304");
    let checksum = CHECKSUM.checksum(code.as_bytes());
    Some(format!("{code}{checksum:04X}"))
}

/// Objects one after the other.
#[derive(Default)]
struct Objects(String);

impl Objects {
    /// Adds one; `None` when its value has not 1 to 99 characters.
    fn add(&mut self, id: &str, value: &str) -> Option<()> {
        let length = value.chars().count();
        if !(1..=99).contains(&length) {
            return None;
        }
        self.0.push_str(&format!("{id}{length:02}{value}"));
        Some(())
    }
}

fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

/// An amount of minor units in digits, with a point before the decimals.
fn decimal(minor: i64, exponent: u32) -> Option<String> {
    let unit = 10_i64.checked_pow(exponent)?;
    let (whole, rest) = (minor.checked_div(unit)?, minor.checked_rem(unit)?);
    Some(match exponent {
        0 => whole.to_string(),
        decimals => {
            let width = usize::try_from(decimals).ok()?;
            format!("{whole}.{rest:0width$}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: Order<'static> = Order {
        order_id: "A-1",
        amount_minor: 1205,
    };

    fn written(merchant: &Merchant, order: Option<&Order<'_>>) -> String {
        write("acquirer", merchant, "T0000001", order).unwrap()
    }

    /// The catalogue of parametrised CRC algorithms (reveng): CRC-16/IBM-3740, alias CCITT-FALSE, check 29B1. And the Chinese
    /// example of EMV QRCPS MPM 1.1, which ends with A13A.
    #[test]
    fn the_checksum_is_the_specification_s() {
        assert_eq!(CHECKSUM.checksum(b"123456789"), 0x29B1);
        let example = "00020101021229300012D156000000000510A93FO3230Q31280012D15600000001030812345678520441115802CN5914BEST \
                       TRANSPORT6007BEIJING64200002ZH0104最佳运输0202北京540523.7253031565502016233030412340603***0708A60086\
                       670902ME91320016A0112233449988770708123456786304";
        assert_eq!(CHECKSUM.checksum(example.as_bytes()), 0xA13A);
    }

    #[test]
    fn a_code_for_many_payments_and_one_for_an_order() {
        let merchant = Merchant::default();
        let code = written(&merchant, None);
        let body = "00020101021126540019dev.tapcore.sandbox0108acquirer0215898110058120001520458125303156\
                    5802CN5915Mapo Tofu House6007Chengdu62120708T00000016304";
        assert_eq!(code.strip_suffix(&code[code.len() - 4..]), Some(body));
        let code = written(&merchant, Some(&ORDER));
        let body = "00020101021226540019dev.tapcore.sandbox0108acquirer0215898110058120001520458125303156540512.05\
                    5802CN5915Mapo Tofu House6007Chengdu62190503A-10708T00000016304";
        assert_eq!(code.strip_suffix(&code[code.len() - 4..]), Some(body));
    }

    #[test]
    fn a_chinese_name_stands_beside_a_latin_one() {
        let merchant = Merchant {
            name: "陈麻婆豆腐".to_owned(),
            latin_name: "Chen Mapo Doufu".to_owned(),
            ..Merchant::default()
        };
        let code = written(&merchant, None);
        assert!(code.contains("5915Chen Mapo Doufu"));
        // 5 characters, though 15 bytes; the template has 15 characters.
        assert!(code.contains("64150002zh0105陈麻婆豆腐6304"), "{code}");
    }

    #[test]
    fn amounts_have_their_currency_s_decimals() {
        for (minor, exponent, text) in [
            (1, 2, "0.01"),
            (1205, 2, "12.05"),
            (999_999_999_999, 2, "9999999999.99"),
            (500, 0, "500"),
        ] {
            assert_eq!(decimal(minor, exponent).as_deref(), Some(text));
        }
        let foreign = Merchant {
            currency: "XTS".to_owned(),
            ..Merchant::default()
        };
        assert_eq!(write("acquirer", &foreign, "T1", None), None);
        let nameless = Merchant {
            latin_name: String::new(),
            ..Merchant::default()
        };
        assert_eq!(write("acquirer", &nameless, "T1", None), None);
    }
}
