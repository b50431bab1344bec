//! The unlock PIN: it opens the verified key, slowly, and a few times only.
//!
//! The PIN is stretched (Argon2id) and mixed with a pepper that the platform's key store wraps, so a copy of the
//! database is worth no guess without the phone. Nothing is compared: a wrong PIN gives a key that opens nothing.

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::sealing::{SealingKey, derive_salted, random};
use super::{Hierarchy, PersonalKey, VaultError};
use crate::clock::{ClockReading, Span};
use crate::secret::Secret;
use crate::store::Place;

/// Argon2id as phones bear it (RFC 9106, OWASP): 19 MiB, two passes, one lane.
const STRETCHING: (u32, u32, u32) = (19_456, 2, 1);

/// The sealing key below PIN and pepper.
const PIN: &str = "tapcore pin v1";

const PLACE: Place<'_> = Place {
    table: "record",
    column: "pin",
    row: b"person",
};

/// What the wallet keeps of a PIN.
#[derive(Clone, Serialize, Deserialize)]
pub struct PinRecord {
    /// The platform key that wraps the pepper.
    pub(super) alias: String,
    wrapped: String,
    salt: String,
    sealed: String,
    /// Tries since the last right one.
    wrong: u32,
    wait: Option<Span>,
}

/// How many tries there are, and how long one waits after each; the issuer's numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinRules {
    /// Tries until the PIN is gone for good.
    pub tries: u32,
    /// Seconds to wait after the first wrong try, the second, …; the last holds for all that follow.
    pub delays_s: Vec<u32>,
}

impl Default for PinRules {
    fn default() -> Self {
        Self {
            tries: 10,
            delays_s: vec![0, 0, 30, 60, 300, 900, 3_600],
        }
    }
}

impl PinRecord {
    /// Puts a verified key behind a PIN, under a fresh platform key.
    ///
    /// # Errors
    /// When the key store or the random number generator fails.
    pub fn set(hierarchy: &Hierarchy, pin: &str, key: &PersonalKey) -> Result<Self, VaultError> {
        let pepper = Secret::<32>::fill(|bytes| random(bytes))?;
        let mut salt = [0; 16];
        random(&mut salt)?;
        let alias = hierarchy.fresh_alias("pin")?;
        let store = hierarchy.key_store();
        store.create_wrapping_key(&alias)?;
        let wrapped = store.wrap(&alias, pepper.expose())?;
        let sealing = sealing_key(hierarchy, pin, &salt, &pepper)?;
        Ok(Self {
            alias,
            wrapped: hex::encode_upper(wrapped),
            salt: hex::encode_upper(salt),
            sealed: hex::encode_upper(sealing.seal(&PLACE, key.bytes())?),
            wrong: 0,
            wait: None,
        })
    }

    /// Tries that are left.
    pub fn tries_left(&self, rules: &PinRules) -> u32 {
        rules.tries.saturating_sub(self.wrong)
    }

    /// How long one must wait before the next try, in milliseconds.
    pub fn wait_ms(&self, reading: &ClockReading) -> i64 {
        self.wait.as_ref().map_or(0, |wait| wait.wait_ms(reading))
    }

    /// Takes a try off, to be made durable before the PIN is looked at: a process that is killed gains none.
    pub fn spend_try(&mut self, rules: &PinRules, reading: &ClockReading) {
        let at = usize::try_from(self.wrong).unwrap_or(usize::MAX);
        let delay = rules.delays_s.get(at).or(rules.delays_s.last());
        let delay_ms = i64::from(delay.copied().unwrap_or(0)) * 1_000;
        self.wrong = self.wrong.saturating_add(1);
        self.wait = (delay_ms > 0).then(|| Span::new(reading, delay_ms));
    }

    /// Gives the tries back, after a right one.
    pub fn forgive(&mut self) {
        self.wrong = 0;
        self.wait = None;
    }

    /// Opens the verified key.
    ///
    /// # Errors
    /// [`VaultError::WrongPin`]; or when the key store refuses.
    pub fn open(&self, hierarchy: &Hierarchy, pin: &str) -> Result<PersonalKey, VaultError> {
        let decode = |text: &str| hex::decode(text).map_err(|_| VaultError::UnknownFormat);
        let pepper = hierarchy
            .key_store()
            .unwrap(&self.alias, &decode(&self.wrapped)?)?;
        let pepper = Secret::take(pepper).ok_or(VaultError::Unsealable)?;
        let sealing = sealing_key(hierarchy, pin, &decode(&self.salt)?, &pepper)?;
        match sealing.open(&PLACE, &decode(&self.sealed)?) {
            Ok(key) => PersonalKey::take(key.expose().to_vec()),
            Err(VaultError::Unsealable) => Err(VaultError::WrongPin),
            Err(error) => Err(error),
        }
    }
}

fn sealing_key(
    hierarchy: &Hierarchy,
    pin: &str,
    salt: &[u8],
    pepper: &Secret<32>,
) -> Result<SealingKey, VaultError> {
    let (memory, passes, lanes) = STRETCHING;
    let params =
        Params::new(memory, passes, lanes, Some(32)).map_err(|_| VaultError::UnknownFormat)?;
    let mut stretched = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(pin.as_bytes(), salt, stretched.as_mut())
        .map_err(|_| VaultError::UnknownFormat)?;
    let key = derive_salted(pepper.expose(), stretched.as_ref(), PIN)?;
    SealingKey::new(&key, PIN, hierarchy.installation())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> PinRecord {
        PinRecord {
            alias: String::new(),
            wrapped: String::new(),
            salt: String::new(),
            sealed: String::new(),
            wrong: 0,
            wait: None,
        }
    }

    fn reading(boot: &str, since_boot_ms: i64) -> ClockReading {
        ClockReading {
            wall_ms: 0,
            boot_id: boot.into(),
            since_boot_ms,
        }
    }

    #[test]
    fn s32_the_wait_grows_with_each_wrong_try_and_tries_end() {
        let (mut pin, rules) = (record(), PinRules::default());
        let waits: Vec<i64> = (0..10)
            .map(|_| {
                pin.spend_try(&rules, &reading("a", 0));
                pin.wait_ms(&reading("a", 0)) / 1_000
            })
            .collect();
        assert_eq!(waits, [0, 0, 30, 60, 300, 900, 3600, 3600, 3600, 3600]);
        assert_eq!(pin.tries_left(&rules), 0);
        pin.forgive();
        assert_eq!(
            (pin.tries_left(&rules), pin.wait_ms(&reading("a", 0))),
            (10, 0)
        );
    }
}
