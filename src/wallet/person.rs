//! The person at the phone: PIN, fingerprint or face, lock and unlock.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::arm::{give_back, retire_older};
use super::open::Opened;
use super::{Wallet, WalletError};
use crate::vault::{Biometric, Person, PersonalKey, PinRecord, VaultError};

/// Name of the record in the vault.
pub(super) const RECORD: &str = "person";

/// What proves the person for something other than a payment.
pub enum Proof {
    /// The PIN.
    Pin(Zeroizing<String>),
    /// A finished verification for [`Purpose::Access`](super::Purpose::Access).
    Verification(String),
}

/// How the person's ways in stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonStatus {
    /// Tries left for the PIN, where one is set.
    pub pin_tries_left: Option<u32>,
    /// Seconds until the PIN may be tried again.
    pub pin_wait_s: u32,
    /// Whether fingerprint or face is set up.
    pub biometric: bool,
    /// Whether a change of the enrolled biometrics took it away.
    pub biometric_voided: bool,
}

impl Wallet {
    /// Sets or changes the PIN. The first one needs no proof; another needs the old PIN or a verification.
    ///
    /// # Errors
    /// [`WalletError::Input`] for a PIN that is too short or too plain; those of [`unlock`](Self::unlock).
    pub async fn set_pin(
        self: &Arc<Self>,
        pin: Zeroizing<String>,
        proof: Option<Proof>,
    ) -> Result<(), WalletError> {
        check_pin(&pin)?;
        self.with_keys(move |wallet, opened| {
            let (mut person, key) = wallet.person_and_key(opened, proof)?;
            person.pin = Some(PinRecord::set(&opened.hierarchy, &pin, &key)?);
            keep(opened, &person)
        })
        .await
    }

    /// Sets fingerprint or face up, or up again after the phone's enrolled ones changed. Where there is a PIN, it or a
    /// verification is the proof. Without either the old key is lost and a new one takes its place.
    ///
    /// # Errors
    /// [`VaultError::KeyStore`] when nothing is enrolled on the phone; those of [`unlock`](Self::unlock).
    pub async fn set_up_verification(
        self: &Arc<Self>,
        proof: Option<Proof>,
    ) -> Result<(), WalletError> {
        self.with_keys(move |wallet, opened| {
            let (mut person, key) = wallet.person_and_key(opened, proof)?;
            person.biometric = Some(Biometric::set(&opened.hierarchy, &key)?);
            person.voided = false;
            keep(opened, &person)
        })
        .await
    }

    /// Locks the wallet, without a network and for as long as it takes: what pays leaves the memory, and what is stored
    /// of it is sealed to a key that only PIN or biometric opens.
    ///
    /// # Errors
    /// [`WalletError::NoPerson`] when neither is set.
    pub async fn lock(self: &Arc<Self>) -> Result<(), WalletError> {
        self.with_keys(|wallet, opened| {
            wallet.forget_verification();
            let person = person_in(opened)?.ok_or(WalletError::NoPerson)?;
            wallet.take_code_away();
            let lock_key =
                hex::decode(&person.public.lock).map_err(|_| VaultError::UnknownFormat)?;
            let unused = wallet.tap.disarm();
            let mut arming = opened.arming()?;
            give_back(&mut arming, unused);
            arming.lock(&lock_key)?;
            let ((), record) = opened.commit(arming, |_| Ok(()))?;
            let policy = wallet.policy_in(opened)?;
            wallet
                .tap
                .look(policy.clone(), wallet.standing(opened, &policy), false);
            tracing::info!("locked");
            retire_older(opened, &record)
        })
        .await
    }

    /// Unlocks the wallet and arms its cards.
    ///
    /// # Errors
    /// [`WalletError::PinWrong`] with the tries that are left, [`WalletError::PinWait`] with the seconds to wait,
    /// [`WalletError::PinSpent`] when there are none left, [`WalletError::NoPerson`], [`WalletError::NotVerified`].
    pub async fn unlock(self: &Arc<Self>, proof: Proof) -> Result<(), WalletError> {
        self.with_keys(move |wallet, opened| {
            let key = wallet.open_personal_key(opened, proof)?;
            if opened.known().locked {
                let mut arming = opened.arming()?;
                arming.unlock(&key)?;
                drop(key);
                let ((), record) = opened.commit(arming, |_| Ok(()))?;
                retire_older(opened, &record)?;
                tracing::info!("unlocked");
            }
            wallet.arm_now(opened)
        })
        .await
    }

    pub(super) fn person_status(&self, opened: &Opened) -> Result<PersonStatus, WalletError> {
        let Some(person) = person_in(opened)? else {
            return Ok(PersonStatus::default());
        };
        let rules = self.policy_in(opened)?.pin;
        let wait_ms = person
            .pin
            .as_ref()
            .map_or(0, |pin| pin.wait_ms(&self.clock.now()));
        Ok(PersonStatus {
            pin_tries_left: person.pin.as_ref().map(|pin| pin.tries_left(&rules)),
            pin_wait_s: seconds(wait_ms),
            biometric: person.biometric.is_some(),
            biometric_voided: person.voided,
        })
    }

    /// The person as stored and their key; where nobody was there yet, or every way in is lost, a new one.
    fn person_and_key(
        &self,
        opened: &Opened,
        proof: Option<Proof>,
    ) -> Result<(Person, PersonalKey), WalletError> {
        let known = person_in(opened)?;
        match (known, proof) {
            (Some(_), Some(proof)) => {
                let key = self.open_personal_key(opened, proof)?;
                // Spending a try has changed what is stored.
                let person = person_in(opened)?.ok_or(WalletError::NoPerson)?;
                Ok((person, key))
            }
            (Some(person), None) if self.has_a_way_in(opened, &person)? => {
                Err(WalletError::NotVerified)
            }
            // What is locked stays locked to the key it was locked to.
            (Some(_), None) if opened.known().locked => Err(WalletError::NoPerson),
            (_, _) => {
                // What the person before has permitted ends with them.
                self.tap.revoke();
                let key = PersonalKey::generate()?;
                let person = Person {
                    public: key.public_halves()?,
                    pin: None,
                    biometric: None,
                    voided: false,
                    registered: false,
                };
                Ok((person, key))
            }
        }
    }

    fn has_a_way_in(&self, opened: &Opened, person: &Person) -> Result<bool, WalletError> {
        let rules = self.policy_in(opened)?.pin;
        let pin = person.pin.as_ref();
        Ok(pin.is_some_and(|pin| pin.tries_left(&rules) > 0) || person.biometric.is_some())
    }

    fn open_personal_key(&self, opened: &Opened, proof: Proof) -> Result<PersonalKey, WalletError> {
        match proof {
            Proof::Pin(pin) => self.open_with_pin(opened, &pin),
            Proof::Verification(id) => self.take_access(&id),
        }
    }

    /// Opens the verified key by the PIN. The try is spent in a commit of its own before the PIN is looked at, under a
    /// fresh arming: neither a kill nor an older database gives it back.
    pub(super) fn open_with_pin(
        &self,
        opened: &Opened,
        pin: &str,
    ) -> Result<PersonalKey, WalletError> {
        let mut person = person_in(opened)?.ok_or(WalletError::NoPerson)?;
        let rules = self.policy_in(opened)?.pin;
        let reading = self.clock.now();
        let record = person.pin.as_mut().ok_or(WalletError::NoPerson)?;
        let wait_ms = record.wait_ms(&reading);
        if wait_ms > 0 {
            return Err(WalletError::PinWait(seconds(wait_ms)));
        }
        if record.tries_left(&rules) == 0 {
            // A kill fell between the last try and this.
            person.pin = None;
            keep(opened, &person)?;
            return Err(WalletError::PinSpent);
        }
        record.spend_try(&rules, &reading);
        let tries_left = record.tries_left(&rules);
        let record = record.clone();
        keep(opened, &person)?;
        match record.open(&opened.hierarchy, pin) {
            Ok(key) => {
                if let Some(pin) = person.pin.as_mut() {
                    pin.forgive();
                }
                keep(opened, &person)?;
                Ok(key)
            }
            Err(VaultError::WrongPin) if tries_left == 0 => {
                // What nobody may try any more is not kept.
                person.pin = None;
                keep(opened, &person)?;
                Err(WalletError::PinSpent)
            }
            Err(VaultError::WrongPin) => {
                tracing::warn!(tries_left, "a wrong entry");
                Err(WalletError::PinWrong(tries_left))
            }
            Err(error) => Err(error.into()),
        }
    }
}

pub(super) fn person_in(opened: &Opened) -> Result<Option<Person>, WalletError> {
    Ok(opened.vault.read(|tx| tx.record(RECORD))?)
}

/// Writes the person down under the next arming, and deletes platform keys that are not in use any more.
pub(super) fn keep(opened: &Opened, person: &Person) -> Result<(), WalletError> {
    let mut arming = opened.arming()?;
    let before = person_in(opened)?;
    if before.is_some_and(|before| before.public.payment != person.public.payment) {
        // Nobody opens what was sealed to the person before; new keys are asked for.
        for state in arming.state_mut().tokens.values_mut() {
            state.keys.wear_verified();
        }
    }
    let ((), record) = opened.commit(arming, |tx| Ok(tx.set_guarded(RECORD, Some(person))?))?;
    retire_older(opened, &record)?;
    Ok(opened.hierarchy.retire_personal_keys(Some(person))?)
}

fn seconds(ms: i64) -> u32 {
    u32::try_from(ms.saturating_add(999) / 1_000).unwrap_or(u32::MAX)
}

/// Six to twelve digits, not all alike and no plain run: those are tried first.
fn check_pin(pin: &str) -> Result<(), WalletError> {
    let digits = pin.as_bytes();
    if !(6..=12).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return Err(WalletError::Input("a PIN has 6 to 12 digits"));
    }
    let steps: Vec<u8> = digits
        .iter()
        .zip(digits.iter().skip(1))
        .map(|(one, next)| next.wrapping_sub(*one))
        .collect();
    let plain = [0, 1, u8::MAX]
        .iter()
        .any(|step| steps.iter().all(|taken| taken == step));
    match plain {
        true => Err(WalletError::Input(
            "this PIN is too easy to guess: choose other digits",
        )),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_that_are_tried_first_are_refused() {
        for plain in [
            "000000",
            "123456",
            "987654",
            "12345",
            "12345a",
            "1234567890123",
        ] {
            assert!(check_pin(plain).is_err(), "{plain}");
        }
        assert!(check_pin("194917").is_ok());
        assert!(check_pin("112233445566").is_ok());
    }
}
