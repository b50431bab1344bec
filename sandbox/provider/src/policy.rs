//! What phones are told to keep to, and how the support desk overrides it.
//!
//! An override is a JSON merge patch (RFC 7396) over the policy as phones are told it:
//! `{"minimum_app_version":"1.2.0","risk":{"block_at":60}}`; `null` takes an override back. Overrides lie in the
//! provider's database and count from the next request on.

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::version::Version;

pub use crate::codes::{CodeAcquirer, CodePolicy, CodeRules, DailyLimits, RefusedClass};

/// Limits that an issuer sets and phones keep to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// How many transaction counters a phone reserves at once.
    pub atc_block: u32,
    /// The most cryptograms in one stay in the field.
    pub cryptograms_per_field: u32,
    /// How long a tap may wait for a cold start, milliseconds.
    pub tap_response_ms: u32,
    /// With fewer taps left than this, a phone asks for new keys.
    pub replenish_below: u32,
    /// After how many hours a pending entry counts as expired.
    pub pending_expires_hours: u32,
    /// Apps below this version are not served.
    pub minimum_app_version: String,
    /// How a phone scores the signs of an attack before it pays.
    pub risk: RiskPolicy,
    /// How a phone treats wrong tries of its PIN.
    pub pin: PinPolicy,
    /// How long a verification of the person is good for, seconds.
    pub verification_window_s: u32,
    /// The most that a payment may cost that was verified before its amount was known, minor units.
    pub one_tap_ceiling_minor: i64,
    /// When a tap needs the person verified on the phone.
    pub tap_verification: TapVerification,
    /// Whether a phone with a locked screen pays.
    pub pays_locked: bool,
    /// How long a reader that lost the phone may take to come back before the tap is over, milliseconds.
    pub deactivation_grace_ms: u32,
    /// How a phone makes payment codes.
    pub codes: CodePolicy,
}

/// When a tap needs the person verified on the phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TapVerification {
    /// Readers see to it in their own way.
    Never,
    /// Before every payment.
    Always,
    /// Above limits, and where a reader asks for it.
    Above(VerificationLimits),
}

/// Up to where taps need nobody; an absent limit does not limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerificationLimits {
    /// Of the amounts, ISO 4217 letters.
    pub currency: String,
    /// The largest payment, minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_minor: Option<i64>,
    /// Payments in a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Their sum, minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum_minor: Option<i64>,
}

/// A payment is refused when the weights of all signs seen add up to `block_at` or more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RiskPolicy {
    /// What each sign counts.
    pub weights: RiskWeights,
    /// From this sum on nothing is paid.
    pub block_at: u32,
}

/// What each sign of an attack counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RiskWeights {
    /// The system was opened (root, jailbreak).
    pub rooted: u32,
    /// It is no phone.
    pub emulator: u32,
    /// The app's code is being rerouted.
    pub hooked: u32,
    /// A debugger is attached.
    pub debugger: u32,
    /// The clock was set.
    pub clock_jump: u32,
}

/// Tries of a phone's PIN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinPolicy {
    /// After so many wrong tries in a row the PIN is void.
    pub tries: u32,
    /// How long to wait after the first wrong try, the second, …, seconds; after more the last one counts.
    pub delays_s: Vec<u32>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            atc_block: 4,
            cryptograms_per_field: 3,
            tap_response_ms: 400,
            replenish_below: 5,
            pending_expires_hours: 168,
            minimum_app_version: "0.0.0".to_owned(),
            risk: RiskPolicy {
                weights: RiskWeights {
                    rooted: 100,
                    emulator: 40,
                    hooked: 100,
                    debugger: 20,
                    clock_jump: 20,
                },
                block_at: 100,
            },
            pin: PinPolicy {
                tries: 10,
                delays_s: vec![0, 0, 30, 60, 300, 900, 3600],
            },
            verification_window_s: 60,
            one_tap_ceiling_minor: 100_000,
            tap_verification: TapVerification::Never,
            pays_locked: true,
            deactivation_grace_ms: 500,
            codes: CodePolicy::default(),
        }
    }
}

impl Policy {
    /// This policy with overrides over it.
    pub(crate) fn under(&self, overrides: &Map<String, Value>) -> anyhow::Result<Self> {
        let mut value = serde_json::to_value(self)?;
        merge(&mut value, &Value::Object(overrides.clone()), false);
        let policy: Self = serde_json::from_value(value).context("that is no policy")?;
        policy.check()?;
        Ok(policy)
    }

    fn check(&self) -> anyhow::Result<()> {
        let counts = [
            self.atc_block,
            self.cryptograms_per_field,
            self.tap_response_ms,
            self.pending_expires_hours,
            self.pin.tries,
            self.verification_window_s,
        ];
        ensure!(
            counts.iter().all(|count| *count > 0),
            "atc_block, cryptograms_per_field, tap_response_ms, pending_expires_hours, pin.tries and verification_window_s must be 1 at least"
        );
        if let TapVerification::Above(limits) = &self.tap_verification {
            let letters = limits.currency.len() == 3
                && limits
                    .currency
                    .bytes()
                    .all(|byte| byte.is_ascii_uppercase());
            ensure!(
                letters,
                "tap_verification.above.currency must be three capitals, such as CNY"
            );
        }
        ensure!(
            self.deactivation_grace_ms <= 10_000,
            "deactivation_grace_ms must be 10000 at most"
        );
        ensure!(
            (1..=100).contains(&self.pin.delays_s.len()),
            "pin.delays_s must have 1 to 100 members"
        );
        ensure!(
            self.one_tap_ceiling_minor >= 0,
            "one_tap_ceiling_minor must not be negative"
        );
        ensure!(
            Version::is_well_formed(&self.minimum_app_version),
            "minimum_app_version must be numbers between dots, for example 1.2.0"
        );
        self.codes.check()
    }
}

/// A change over the overrides that are there already. Nulls take overrides back.
pub(crate) fn add_override(overrides: &mut Map<String, Value>, change: &Map<String, Value>) {
    let mut all = Value::Object(std::mem::take(overrides));
    merge(&mut all, &Value::Object(change.clone()), true);
    if let Value::Object(all) = all {
        *overrides = all;
    }
}

/// RFC 7396. When `overrides` are merged, an object that has become empty goes as well.
fn merge(target: &mut Value, patch: &Value, overrides: bool) {
    let (Value::Object(target), Value::Object(patch)) = (&mut *target, patch) else {
        *target = patch.clone();
        return;
    };
    for (name, change) in patch {
        if change.is_null() {
            target.remove(name);
            continue;
        }
        let below = target.entry(name.as_str()).or_insert(Value::Null);
        if change.is_object() && !below.is_object() {
            *below = Value::Object(Map::new());
        }
        merge(below, change, overrides);
        if overrides && below.as_object().is_some_and(Map::is_empty) {
            target.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn overrides_lie_over_the_policy_and_can_be_taken_back() {
        let base = Policy::default();
        let mut overrides = Map::new();
        add_override(
            &mut overrides,
            &object(json!({ "risk": { "block_at": 50 } })),
        );
        add_override(
            &mut overrides,
            &object(json!({ "risk": { "weights": { "emulator": 0 } }, "atc_block": 2 })),
        );
        let policy = base.under(&overrides).unwrap();
        assert_eq!((policy.risk.block_at, policy.atc_block), (50, 2));
        assert_eq!(
            (policy.risk.weights.emulator, policy.risk.weights.rooted),
            (0, 100)
        );
        add_override(
            &mut overrides,
            &object(
                json!({ "risk": { "block_at": null, "weights": { "emulator": null } }, "atc_block": null }),
            ),
        );
        assert!(overrides.is_empty());
        assert_eq!(base.under(&overrides).unwrap(), base);
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for change in [
            json!({ "surplus": 1 }),
            json!({ "risk": { "block_at": "much" } }),
            json!({ "risk": 7 }),
            json!({ "pin": { "tries": 0 } }),
            json!({ "pin": { "delays_s": [] } }),
            json!({ "minimum_app_version": "latest" }),
            json!({ "one_tap_ceiling_minor": -1 }),
            json!({ "verification_window_s": 0 }),
            json!({ "codes": { "prefix": "62" } }),
        ] {
            let mut overrides = Map::new();
            add_override(&mut overrides, &object(change.clone()));
            assert!(Policy::default().under(&overrides).is_err(), "{change}");
        }
    }
}
