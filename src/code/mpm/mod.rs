//! The merchant-presented code (EMV QRCPS, Merchant-Presented Mode 1.1): what a shop's sticker or screen says.
//!
//! [`parse`] reads it in three steps, so that a person is told the right thing: the objects and the checksum (damage: scan
//! again), then what they mean (the shop's mistake). What it yields is what the *shop* claims. Whom the money goes to, the
//! provider says: the name in object 59 is for it to compare, not for the screen.

mod amount;
mod error;
mod object;

use crate::account::{Currency, Money};
pub use error::MpmError;
use object::{Object, crc, each_once, split};

/// The most characters that any QR code holds (version 40, level L, digits), and thus the longest text worth reading.
const LONGEST: usize = 7_089;

/// Ids of the code's own objects.
mod ids {
    pub(super) const VERSION: u8 = 0;
    pub(super) const INITIATION: u8 = 1;
    pub(super) const CATEGORY: u8 = 52;
    pub(super) const CURRENCY: u8 = 53;
    pub(super) const AMOUNT: u8 = 54;
    pub(super) const TIP: u8 = 55;
    pub(super) const FEE_FIXED: u8 = 56;
    pub(super) const FEE_PERCENT: u8 = 57;
    pub(super) const COUNTRY: u8 = 58;
    pub(super) const NAME: u8 = 59;
    pub(super) const CITY: u8 = 60;
    pub(super) const POSTAL_CODE: u8 = 61;
    pub(super) const ADDITIONAL: u8 = 62;
    pub(super) const CRC: u8 = 63;
    pub(super) const LANGUAGE: u8 = 64;
}

/// Whether a code is for one payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiation {
    /// It is shown to many (`11`), as a sticker is, or does not say.
    Static,
    /// It was made for this payment (`12`).
    Dynamic,
}

/// Where the money goes, in one network's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MerchantAccount {
    /// An id that EMVCo gave to a network (02 to 25), with the account in that network's own form.
    Reserved {
        /// The id.
        id: u8,
        /// The account.
        value: String,
    },
    /// A template that names its network itself (26 to 51).
    Template(Template),
}

/// A template with a globally unique identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its id.
    pub id: u8,
    /// Whose it is: an AID, a UUID or a reversed domain name.
    pub identifier: String,
    /// The other objects, in their order.
    pub objects: Vec<(u8, String)>,
}

/// What is to be paid on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tip {
    /// The person is asked (`01`).
    Asked,
    /// A fixed fee (`02`).
    Fixed(Money),
    /// A fee in hundredths of a percent of the amount (`03`).
    HundredthsOfPercent(u32),
}

/// Additional data (62). `***` says that the person is to be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdditionalData {
    /// The objects, in their order; those of payment systems (50 to 99) unread.
    pub objects: Vec<(u8, String)>,
}

impl AdditionalData {
    /// Id of the bill number.
    pub const BILL: u8 = 1;
    /// Id of the mobile number.
    pub const MOBILE: u8 = 2;
    /// Id of the store label.
    pub const STORE: u8 = 3;
    /// Id of the loyalty number.
    pub const LOYALTY: u8 = 4;
    /// Id of the reference label.
    pub const REFERENCE: u8 = 5;
    /// Id of the customer label.
    pub const CUSTOMER: u8 = 6;
    /// Id of the terminal label.
    pub const TERMINAL: u8 = 7;
    /// Id of the purpose.
    pub const PURPOSE: u8 = 8;
    /// Id of what the person is to be asked for: A(ddress), M(obile number), E(-mail address).
    pub const ASKS: u8 = 9;

    /// A value by its id.
    pub fn get(&self, id: u8) -> Option<&str> {
        let found = self.objects.iter().find(|(found, _)| *found == id);
        found.map(|(_, value)| value.as_str())
    }
}

/// The shop in its own language (64).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalName {
    /// ISO 639 code of the language.
    pub language: String,
    /// The shop.
    pub name: String,
    /// Its city.
    pub city: Option<String>,
}

/// A merchant's code, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MerchantCode {
    /// Whether it is for one payment.
    pub initiation: Initiation,
    /// Where the money may go; at least one.
    pub accounts: Vec<MerchantAccount>,
    /// Merchant category code (ISO 18245), four digits.
    pub category: String,
    /// The currency.
    pub currency: Currency,
    /// The amount; without it the person is asked.
    pub amount: Option<Money>,
    /// What is to be paid on top.
    pub tip: Option<Tip>,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// The shop's name, as it claims.
    pub name: String,
    /// The shop's city.
    pub city: String,
    /// The shop's postal code.
    pub postal_code: Option<String>,
    /// Bill, store, terminal and the like.
    pub additional: AdditionalData,
    /// The shop in its own language.
    pub local: Option<LocalName>,
    /// Templates of anybody (80 to 99).
    pub unreserved: Vec<Template>,
}

/// Reads a code.
///
/// # Errors
/// [`MpmError`] says what is damaged, or what the shop has to mend.
pub fn parse(code: &str) -> Result<MerchantCode, MpmError> {
    if code.chars().nth(LONGEST).is_some() {
        return Err(MpmError::TooLong);
    }
    let objects = split(code, 0)?;
    check_crc(code, &objects)?;
    each_once(&objects)?;
    if objects.first().map(|first| (first.id, first.value)) != Some((ids::VERSION, "01")) {
        return Err(MpmError::Version);
    }
    Objects(&objects).read()
}

/// The checksum is the last object, and covers all before its value.
fn check_crc(code: &str, objects: &[Object<'_>]) -> Result<(), MpmError> {
    let last = objects.last().filter(|last| last.id == ids::CRC);
    let told = last.ok_or(MpmError::NoCrc)?.value;
    let covered = code.strip_suffix(told).ok_or(MpmError::NoCrc)?;
    let sound = told.len() == 4 && told.bytes().all(|digit| digit.is_ascii_hexdigit());
    let told = u16::from_str_radix(told, 16).ok().filter(|_| sound);
    match told.ok_or(MpmError::NoCrc)? == crc(covered.as_bytes()) {
        true => Ok(()),
        false => Err(MpmError::Crc),
    }
}

/// The objects of a code whose checksum is right.
struct Objects<'a>(&'a [Object<'a>]);

impl<'a> Objects<'a> {
    fn read(&self) -> Result<MerchantCode, MpmError> {
        let currency = self.must(ids::CURRENCY, |_| true)?;
        let currency = Currency::from_numeric(currency).ok_or(MpmError::Value(ids::CURRENCY))?;
        let amount = self.get(ids::AMOUNT);
        let accounts = self.accounts()?;
        if accounts.is_empty() {
            // Any of 02 to 51 would do; the first stands for them.
            return Err(MpmError::Missing(2));
        }
        let letters =
            |value: &str| value.len() == 2 && value.bytes().all(|b| b.is_ascii_uppercase());
        let four_digits =
            |value: &str| value.len() == 4 && value.bytes().all(|b| b.is_ascii_digit());
        Ok(MerchantCode {
            initiation: match self.get(ids::INITIATION) {
                None | Some("11") => Initiation::Static,
                Some("12") => Initiation::Dynamic,
                Some(_) => return Err(MpmError::Value(ids::INITIATION)),
            },
            accounts,
            category: self.must(ids::CATEGORY, four_digits)?.to_owned(),
            currency,
            amount: amount
                .map(|text| amount::money(text, currency))
                .transpose()?,
            tip: self.tip(currency)?,
            country: self.must(ids::COUNTRY, letters)?.to_owned(),
            name: self.must(ids::NAME, |_| true)?.to_owned(),
            city: self.must(ids::CITY, |_| true)?.to_owned(),
            postal_code: self.get(ids::POSTAL_CODE).map(str::to_owned),
            additional: match self.get(ids::ADDITIONAL) {
                None => AdditionalData::default(),
                Some(content) => AdditionalData {
                    objects: owned(&inner(ids::ADDITIONAL, content)?),
                },
            },
            local: self.get(ids::LANGUAGE).map(local_name).transpose()?,
            unreserved: self.templates(80..=99)?,
        })
    }

    fn get(&self, id: u8) -> Option<&'a str> {
        let found = self.0.iter().find(|object| object.id == id);
        found.map(|object| object.value)
    }

    fn must(&self, id: u8, sound: impl Fn(&str) -> bool) -> Result<&'a str, MpmError> {
        let value = self.get(id).ok_or(MpmError::Missing(id))?;
        match sound(value) {
            true => Ok(value),
            false => Err(MpmError::Value(id)),
        }
    }

    fn accounts(&self) -> Result<Vec<MerchantAccount>, MpmError> {
        let reserved = self.0.iter().filter(|object| (2..=25).contains(&object.id));
        let mut accounts: Vec<_> = reserved
            .map(|object| MerchantAccount::Reserved {
                id: object.id,
                value: object.value.to_owned(),
            })
            .collect();
        let templates = self.templates(26..=51)?;
        accounts.extend(templates.into_iter().map(MerchantAccount::Template));
        Ok(accounts)
    }

    fn templates(&self, ids: std::ops::RangeInclusive<u8>) -> Result<Vec<Template>, MpmError> {
        let found = self.0.iter().filter(|object| ids.contains(&object.id));
        found
            .map(|object| template(object.id, object.value))
            .collect()
    }

    fn tip(&self, currency: Currency) -> Result<Option<Tip>, MpmError> {
        let parts = [ids::TIP, ids::FEE_FIXED, ids::FEE_PERCENT].map(|id| self.get(id));
        match parts {
            [None, None, None] => Ok(None),
            [Some("01"), None, None] => Ok(Some(Tip::Asked)),
            [Some("02"), Some(fee), None] => Ok(Some(Tip::Fixed(amount::money(fee, currency)?))),
            [Some("03"), None, Some(fee)] => {
                let fee = amount::hundredths_of_percent(fee)?;
                Ok(Some(Tip::HundredthsOfPercent(fee)))
            }
            _ => Err(MpmError::Tip),
        }
    }
}

/// The objects within a template. Where they break off matters to nobody: the checksum was right, so the shop wrote it so.
fn inner(id: u8, content: &str) -> Result<Vec<Object<'_>>, MpmError> {
    let objects = split(content, 0).map_err(|_| MpmError::Template(id))?;
    each_once(&objects).map_err(|_| MpmError::Template(id))?;
    Ok(objects)
}

fn owned(objects: &[Object<'_>]) -> Vec<(u8, String)> {
    let objects = objects.iter();
    objects
        .map(|object| (object.id, object.value.to_owned()))
        .collect()
}

fn template(id: u8, content: &str) -> Result<Template, MpmError> {
    let mut objects = owned(&inner(id, content)?);
    let at = objects.iter().position(|(id, _)| *id == 0);
    let at = at.ok_or(MpmError::Template(id))?;
    let (_, identifier) = objects.remove(at);
    Ok(Template {
        id,
        identifier,
        objects,
    })
}

fn local_name(content: &str) -> Result<LocalName, MpmError> {
    let objects = inner(ids::LANGUAGE, content)?;
    let get = |id| Objects(&objects).get(id).map(str::to_owned);
    let missing = MpmError::Template(ids::LANGUAGE);
    Ok(LocalName {
        language: get(0).ok_or(missing)?,
        name: get(1).ok_or(missing)?,
        city: get(2),
    })
}

#[cfg(test)]
mod tests;
