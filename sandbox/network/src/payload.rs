//! What a phone is given, as JSON text signed by the network: the first provisioning of a token, later replenishments.
//! And the MAC over the phone's payment log, by which a phone shows what it did with its keys.

use ring::hmac;
use sandbox_kit::bind::bind;
use sandbox_kit::bytes;
use sandbox_kit::hpke::{self, Sealed};
use sandbox_kit::keys::PartyKey;
use sandbox_kit::problem::Problem;
use serde::{Deserialize, Serialize};

use crate::limits::KeyLimits;
use crate::profile::Profile;

/// HPKE `info` of everything that goes to a phone.
pub const PROVISIONING_INFO: &[u8] = b"tapcore provisioning v1";
/// HPKE `info` of a card number that comes from a phone.
pub const CARD_ENTRY_INFO: &[u8] = b"tapcore card entry v1";

/// A limited-use key on its way to a phone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuedKey {
    /// `YHHHHCC`.
    pub key_index: String,
    /// Sixteen bytes, hex.
    pub key: String,
    /// Until when it may be used, RFC 3339.
    pub not_after: String,
    /// How many payments it makes.
    pub uses: i64,
    /// It pays only when the person was verified on the phone; any other key, only when nobody was.
    pub verified: bool,
    /// What its payments may come to.
    pub limits: KeyLimits,
}

/// The card's RSA key on its way to a phone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OdaKey {
    /// Modulus, hex.
    pub modulus: String,
    /// Public exponent, hex.
    pub exponent: String,
    /// First prime, hex.
    pub prime1: String,
    /// Second prime, hex.
    pub prime2: String,
}

/// Everything that makes a phone a card.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provisioning {
    /// 1.
    pub version: u32,
    /// `provisioning`.
    pub kind: String,
    /// The token's name in APIs.
    pub token_ref: String,
    /// The device it is for.
    pub device_id: String,
    /// The token number.
    pub token: String,
    /// Its sequence number.
    pub psn: String,
    /// Its last day, `YYYY-MM-DD`.
    pub expiry: String,
    /// The card's last four digits.
    pub masked_card: String,
    /// The bank's name.
    pub bank: String,
    /// `bank_card`, `credit` or `prepaid`.
    pub account_type: String,
    /// The card profile.
    pub profile: Profile,
    /// The key for offline data authentication.
    pub oda_key: Option<OdaKey>,
    /// The first keys.
    pub keys: Vec<IssuedKey>,
    /// Makes the MAC over the payment log; 32 bytes, hex.
    pub log_key: String,
    /// The first transaction counter to use.
    pub first_atc: u32,
    /// When it was made, RFC 3339.
    pub issued_at: String,
}

/// Fresh keys for a token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replenishment {
    /// 1.
    pub version: u32,
    /// `replenishment`.
    pub kind: String,
    /// The token's name in APIs.
    pub token_ref: String,
    /// The device it is for.
    pub device_id: String,
    /// The keys.
    pub keys: Vec<IssuedKey>,
    /// When it was made, RFC 3339.
    pub issued_at: String,
}

/// A payload and the network's signature over it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// JSON text.
    pub payload: String,
    /// `r‖s`, hex.
    pub signature: String,
}

/// Signs a payload and seals it for a phone's one-time key.
pub fn seal<T: Serialize>(
    signing: &PartyKey,
    recipient: &[u8],
    aad: &[u8],
    payload: &T,
) -> Result<Sealed, Problem> {
    hpke::seal(
        recipient,
        PROVISIONING_INFO,
        aad,
        &signed(signing, payload)?,
    )
    .map_err(|_| Problem::invalid("provisioning_key is not a P-256 public key."))
}

/// A payload in a container that the network signed, as JSON text.
pub fn signed<T: Serialize>(signing: &PartyKey, payload: &T) -> Result<Vec<u8>, Problem> {
    let payload = serde_json::to_string(payload).map_err(|_| Problem::internal())?;
    let signature = signing.sign(&bind("tapcore-payload-v1", &[payload.as_bytes()]));
    let signed = Signed {
        payload,
        signature: bytes::to_hex(&signature),
    };
    serde_json::to_vec(&signed).map_err(|_| Problem::internal())
}

/// A payment as the phone logged it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogEntry {
    /// Transaction counter.
    pub atc: u32,
    /// Index of the limited-use key.
    pub key_index: String,
    /// When, RFC 3339 in seconds.
    pub at: String,
    /// The terminal's unpredictable number, eight hex digits.
    pub un: String,
    /// Minor units.
    pub amount_minor: i64,
    /// ISO 4217 letters.
    pub currency: String,
}

/// Whether `mac` is the phone's MAC over its log. A log whose entries are malformed has no right MAC.
pub fn log_mac_is_right(log_key: &[u8], token_ref: &str, log: &[LogEntry], mac: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, log_key);
    log_message(token_ref, log).is_some_and(|message| hmac::verify(&key, &message, mac).is_ok())
}

/// The bytes under the MAC.
fn log_message(token_ref: &str, log: &[LogEntry]) -> Option<Vec<u8>> {
    let entries: Vec<Vec<u8>> = log
        .iter()
        .map(|entry| {
            Some(bind(
                "entry",
                &[
                    &entry.atc.to_be_bytes(),
                    entry.key_index.as_bytes(),
                    entry.at.as_bytes(),
                    &bytes::from_hex_exact::<4>(&entry.un)?,
                    &entry.amount_minor.to_be_bytes(),
                    entry.currency.as_bytes(),
                ],
            ))
        })
        .collect::<Option<_>>()?;
    let mut parts: Vec<&[u8]> = vec![token_ref.as_bytes()];
    parts.extend(entries.iter().map(Vec::as_slice));
    Some(bind("tapcore-payment-log-v1", &parts))
}

/// Makes the MAC, as a phone does.
pub fn log_mac(log_key: &[u8], token_ref: &str, log: &[LogEntry]) -> Option<[u8; 32]> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, log_key);
    hmac::sign(&key, &log_message(token_ref, log)?)
        .as_ref()
        .try_into()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_mac_covers_every_member() {
        let entry = LogEntry {
            atc: 1,
            key_index: "6570201".into(),
            at: "2026-11-22T10:00:00Z".into(),
            un: "01020304".into(),
            amount_minor: 1250,
            currency: "CNY".into(),
        };
        let mac = log_mac(b"key", "tok_1", std::slice::from_ref(&entry)).unwrap();
        let right = |entries: &[LogEntry]| log_mac_is_right(b"key", "tok_1", entries, &mac);
        assert!(right(std::slice::from_ref(&entry)));
        assert!(!right(&[]));
        assert!(!log_mac_is_right(
            b"key",
            "tok_2",
            std::slice::from_ref(&entry),
            &mac
        ));
        assert!(!log_mac_is_right(
            b"other",
            "tok_1",
            std::slice::from_ref(&entry),
            &mac
        ));
        let changed = [
            LogEntry {
                atc: 2,
                ..entry.clone()
            },
            LogEntry {
                key_index: "6570202".into(),
                ..entry.clone()
            },
            LogEntry {
                at: "2026-11-22T10:00:01Z".into(),
                ..entry.clone()
            },
            LogEntry {
                un: "01020305".into(),
                ..entry.clone()
            },
            LogEntry {
                amount_minor: 1251,
                ..entry.clone()
            },
            LogEntry {
                currency: "USD".into(),
                ..entry.clone()
            },
            LogEntry {
                un: "no hex".into(),
                ..entry
            },
        ];
        for entry in changed {
            assert!(!right(&[entry]));
        }
    }
}
