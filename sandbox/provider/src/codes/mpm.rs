//! A shop's code (EMV QRCPS, Merchant-Presented Mode) as far as this wallet pays it: objects of two digits of id, two of
//! length *in characters*, and the value, under a checksum. Whom it pays stands in the template of this network; everything
//! else that it says of the shop is not believed, and not even read.

use crc::{CRC_16_IBM_3740, Crc};
use sandbox_kit::iso;
use sandbox_kit::problem::Problem;

/// Identifier of this network's template, a reversed domain name.
const SCHEME: &str = "dev.tapcore.sandbox";

/// The longest code that is read, in bytes. The format's own limit is 512 characters.
const LONGEST: usize = 4096;

/// Also called CCITT-FALSE: polynomial 1021, initial value FFFF, nothing reflected.
static CHECKSUM: Crc<u16> = Crc::<u16>::new(&CRC_16_IBM_3740);

/// Whom and what a code asks to pay.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ShopCode {
    pub(super) acquirer_id: String,
    pub(super) merchant_id: String,
    /// ISO 4217 letters.
    pub(super) currency: &'static str,
    /// Minor units; absent where the person types them.
    pub(super) amount_minor: Option<i64>,
    /// The one order that it is for; absent in a code that stands for many payments.
    pub(super) order_id: Option<String>,
    pub(super) terminal_id: Option<String>,
}

/// Why a code is not paid.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is damaged, or not a shop's code. The sentence says what is wrong.
    Invalid(&'static str),
    /// It is another network's.
    Foreign,
}

impl From<Unread> for Problem {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Invalid(what) => Self::new(
                422,
                "merchant_code_invalid",
                "Not a shop's code",
                format!("{what} Scan it again, or ask the shop for another code."),
            ),
            Unread::Foreign => unknown(),
        }
    }
}

/// Nobody whom this wallet can pay.
pub(super) fn unknown() -> Problem {
    Problem::new(
        404,
        "payee_unknown",
        "Unknown shop",
        "This code is not of a shop that this wallet can pay. Pay with your own code or by tapping.",
    )
}

type Read<T> = Result<T, Unread>;

/// Reads a code.
pub(super) fn read(code: &str) -> Read<ShopCode> {
    if code.len() > LONGEST {
        return Err(Unread::Invalid("The code is too long for a shop's code."));
    }
    let objects = Objects::split(code)?;
    let told = match objects.0.last() {
        Some(("63", told)) if told.len() == 4 => *told,
        _ => {
            return Err(Unread::Invalid("The code does not end with its checksum."));
        }
    };
    let covered = code.strip_suffix(told).unwrap_or_default();
    let checksum = format!("{:04X}", CHECKSUM.checksum(covered.as_bytes()));
    if !told.eq_ignore_ascii_case(&checksum) {
        return Err(Unread::Invalid("The code's checksum is wrong."));
    }
    if objects.0.first() != Some(&("00", "01")) {
        return Err(Unread::Invalid("The code is not of a known version."));
    }
    let account = objects.account()?;
    objects.meaning(&account)
}

/// Objects in their order, each of which stands there once.
struct Objects<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Objects<'a> {
    fn split(text: &'a str) -> Read<Self> {
        const BROKEN: Unread = Unread::Invalid("The code breaks off or is not a shop's code.");
        let mut found: Vec<(&str, &str)> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (id, after) = digits(rest).ok_or(BROKEN)?;
            let (length, after) = digits(after).ok_or(BROKEN)?;
            let length = length.parse::<usize>().map_err(|_| BROKEN)?;
            // A value of no characters is none.
            let last = length.checked_sub(1).ok_or(BROKEN)?;
            let (at, character) = after.char_indices().nth(last).ok_or(BROKEN)?;
            let (value, after) = after
                .split_at_checked(at + character.len_utf8())
                .ok_or(BROKEN)?;
            if found.iter().any(|(known, _)| *known == id) {
                return Err(Unread::Invalid("The code says something twice."));
            }
            found.push((id, value));
            rest = after;
        }
        Ok(Self(found))
    }

    fn get(&self, id: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(known, _)| *known == id);
        found.map(|(_, value)| *value)
    }

    /// This network's template, which is one of 26 to 51. Others may hold what they like.
    fn account(&self) -> Read<Objects<'a>> {
        let templates = self.0.iter().filter(|(id, _)| ("26"..="51").contains(id));
        let mut ours = templates
            .filter_map(|&(_, value)| Objects::split(value).ok())
            .filter(|account| account.get("00") == Some(SCHEME));
        let account = ours.next().ok_or(Unread::Foreign)?;
        match ours.next() {
            None => Ok(account),
            Some(_) => Err(Unread::Invalid("The code names two shops.")),
        }
    }

    fn meaning(&self, account: &Objects<'a>) -> Read<ShopCode> {
        let payee = Unread::Invalid("The code does not say whom to pay.");
        let (acquirer_id, merchant_id) = match (account.get("01"), account.get("02")) {
            (Some(acquirer), Some(merchant)) if is_name(acquirer) && is_name(merchant) => {
                (acquirer.to_owned(), merchant.to_owned())
            }
            _ => return Err(payee),
        };
        let currency = self.get("53").and_then(iso::currency_numbered);
        let currency = currency.ok_or(Unread::Invalid("The code's currency is not known."))?;
        let amount_minor = match self.get("54") {
            None => None,
            Some(text) => Some(
                minor(text, currency.exponent)
                    .ok_or(Unread::Invalid("The code's amount cannot be read."))?,
            ),
        };
        if ["55", "56", "57"].iter().any(|id| self.get(id).is_some()) {
            return Err(Unread::Invalid("The code asks for a tip or a fee."));
        }
        let additional = match self.get("62") {
            None => Objects(Vec::new()),
            Some(content) => Objects::split(content)?,
        };
        let label = |id| match additional.get(id) {
            None => Ok(None),
            Some(label) if is_name(label) => Ok(Some(label.to_owned())),
            Some(_) => Err(Unread::Invalid(
                "The code's order or terminal cannot be read.",
            )),
        };
        let terminal_id = label("07")?;
        let order_id = match self.get("01") {
            None | Some("11") => None,
            Some("12") => label("05")?,
            Some(_) => return Err(Unread::Invalid("The code is of an unknown kind.")),
        };
        let once = self.get("01") == Some("12");
        if once && (order_id.is_none() || amount_minor.is_none()) {
            return Err(Unread::Invalid(
                "The code is for one payment and does not say which.",
            ));
        }
        Ok(ShopCode {
            acquirer_id,
            merchant_id,
            currency: currency.letters,
            amount_minor,
            order_id,
            terminal_id,
        })
    }
}

/// The first two characters, which must be digits, and the rest.
fn digits(text: &str) -> Option<(&str, &str)> {
    let (digits, rest) = text.split_at_checked(2)?;
    let sound = digits.bytes().all(|byte| byte.is_ascii_digit());
    sound.then_some((digits, rest))
}

/// Fit to be a name in a request.
fn is_name(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An amount in minor units: digits, with a point before at most so many decimals. Never through a floating-point number.
fn minor(text: &str, exponent: u32) -> Option<i64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if text.len() > 13 || whole.is_empty() || !is_number(whole) || !is_number(decimals) {
        return None;
    }
    let missing = exponent.checked_sub(u32::try_from(decimals.len()).ok()?)?;
    let number: i64 = format!("{whole}{decimals}").parse().ok()?;
    let minor = number.checked_mul(10_i64.checked_pow(missing)?)?;
    (minor > 0).then_some(minor)
}

#[cfg(test)]
mod tests;
