//! What the provider configures.

use serde::{Deserialize, Deserializer, Serialize};

use crate::code::CodePolicy;
use crate::emv::verification::VerificationRule;
use crate::risk::RiskRules;
use crate::vault::PinRules;

/// Numbers that the provider sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// ATCs reserved at a time.
    pub atc_block: u32,
    /// New cryptograms in one stay in the field.
    pub cryptograms_per_field: u8,
    /// How long a reader is kept waiting for an answer that is not ready, in milliseconds.
    pub tap_response_ms: u64,
    /// Below so many payments, new keys are asked for.
    pub replenish_below: u32,
    /// How long the issuer is given to confirm a payment, in hours.
    pub pending_expires_hours: u32,
    /// The oldest version of the app that may pay, `major.minor.patch`.
    pub minimum_app_version: String,
    /// When signs of an unsafe phone stop payments.
    pub risk: RiskRules,
    /// How often and how fast a PIN may be tried.
    pub pin: PinRules,
    /// How long a verification is good, in seconds.
    pub verification_window_s: u32,
    /// The most that a verification ahead of the amount covers, in minor units.
    pub one_tap_ceiling_minor: i64,
    /// When a tap needs the person.
    pub tap_verification: VerificationRule,
    /// Whether a phone whose screen is locked pays.
    pub pays_locked: bool,
    /// How long a reader that lost the phone may take to come back before the tap is over, in milliseconds.
    pub deactivation_grace_ms: u64,
    /// Payment codes; nothing where the provider has none, or such as this version cannot show.
    #[serde(deserialize_with = "where_usable")]
    pub codes: Option<CodePolicy>,
}

/// Codes that cannot be shown must not keep the rest of the policy from a phone.
fn where_usable<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<CodePolicy>, D::Error> {
    let value = Option::<serde_json::Value>::deserialize(deserializer)?;
    Ok(value.and_then(|value| match serde_json::from_value(value) {
        Ok(policy) => Some(policy),
        Err(error) => {
            tracing::warn!(%error, "the provider's payment codes cannot be shown");
            None
        }
    }))
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            atc_block: 4,
            cryptograms_per_field: 3,
            tap_response_ms: 400,
            replenish_below: 5,
            pending_expires_hours: 168,
            minimum_app_version: "0.0.0".into(),
            risk: RiskRules::default(),
            pin: PinRules::default(),
            verification_window_s: 60,
            one_tap_ceiling_minor: 100_000,
            tap_verification: VerificationRule::Never,
            pays_locked: true,
            deactivation_grace_ms: 500,
            codes: None,
        }
    }
}

impl Policy {
    /// Whether an app of this version may pay. What is no version counts as the oldest.
    pub fn admits(&self, app_version: &str) -> bool {
        version(app_version) >= version(&self.minimum_app_version)
    }
}

/// `major.minor.patch`, a missing part as 0, and whether it is a release: what comes before one (`-rc.1`) is older than
/// it, what a `+` adds does not count (Semantic Versioning 2.0.0, 10 and 11).
fn version(text: &str) -> ([u64; 3], bool) {
    let text = text.split('+').next().unwrap_or_default();
    let (core, release) = match text.split_once('-') {
        Some((core, _)) => (core, false),
        None => (text, true),
    };
    let mut parts = core.split('.').map(|part| part.parse().unwrap_or(0));
    (std::array::from_fn(|_| parts.next().unwrap_or(0)), release)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s43_versions_compare_as_numbers() {
        let policy = Policy {
            minimum_app_version: "1.10.0".into(),
            ..Policy::default()
        };
        assert!(policy.admits("1.10.0"));
        assert!(policy.admits("1.10.0+build.7"));
        assert!(policy.admits("2"));
        assert!(!policy.admits("1.10.0-rc.1"));
        assert!(policy.admits("1.10.1-rc.1"));
        assert!(!policy.admits("1.9.99"));
        assert!(!policy.admits(""));
        assert!(Policy::default().admits("0.0.1"));
    }
}
