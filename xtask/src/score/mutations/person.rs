//! The person, time, risk, wiping: what stands between a reader and a payment.

use super::{Mutation, Target};

const ARMING: &str = "src/vault/arming.rs";
const CLOCK: &str = "src/clock.rs";
const PIN: &str = "src/vault/pin.rs";
const SEALING: &str = "src/vault/sealing.rs";
const STANDING: &str = "src/wallet/standing.rs";
const TAP: &str = "src/wallet/tap.rs";
const VERIFY: &str = "src/wallet/verify.rs";
const COVERS: &str = "src/emv/verification.rs";
const WIPE: &str = "src/wallet/wipe.rs";

/// A mutation that tests beside the core's code must notice.
pub(super) const fn core(
    line: u8,
    name: &'static str,
    file: &'static str,
    find: &'static str,
    replace: &'static str,
) -> Mutation {
    Mutation {
        line,
        name,
        file,
        find,
        replace,
        package: "tapcore",
        target: Target::Lib,
    }
}

pub(super) const MUTATIONS: &[Mutation] = &[
    core(
        1,
        "the arming key crosses at every use",
        "src/wallet/open.rs",
        "let mut arming = match fresh {",
        "let mut arming = match fresh.filter(|_| false) {",
    ),
    core(
        7,
        "platform keys of older PINs stay",
        "src/vault/person.rs",
        "if personal && !named.contains(&alias.as_str()) {",
        "if personal && named.is_empty() {",
    ),
    core(
        8,
        "a key that was voided is offered again",
        VERIFY,
        "person.biometric = None;",
        "",
    ),
    core(
        11,
        "the cap is not held",
        SEALING,
        "let end = self.granted.load(Ordering::Relaxed).min(CAP);\n        match",
        "let end = self.granted.load(Ordering::Relaxed);\n        match",
    ),
    core(
        11,
        "a restart forgets what a crash may have hidden",
        SEALING,
        "let behind = written.saturating_add(Self::GRANT);",
        "let behind = written;",
    ),
    core(
        11,
        "what was sealed is not written down",
        "src/wallet/open.rs",
        "state.seals = seals;",
        "state.seals = seals.min(0);",
    ),
    core(
        11,
        "opening does not go on behind what was sealed",
        "src/wallet/open.rs",
        "hierarchy.sealer().count().resume(arming.state().seals);",
        "",
    ),
    core(
        33,
        "what was armed beside a wipe stays armed",
        WIPE,
        "        // An arming or a verification that was under way has put its work back meanwhile.\n        self.take_code_away();\n        self.tap.disarm();",
        "        self.closed.store(false, Ordering::Relaxed);",
    ),
    core(
        41,
        "a clock that was set is no signal",
        TAP,
        "state.clock_jump = jump.unwrap_or(state.clock_jump);",
        "let _ = jump;",
    ),
    Mutation {
        line: 12,
        name: "the manifest's root is not compared",
        file: ARMING,
        find: "if sealed_root != root {",
        replace: "if sealed_root.len() != root.len() {",
        package: "tapcore",
        target: Target::Test("vault"),
    },
    core(
        29,
        "a boot lets the clock go back",
        CLOCK,
        "false => self.at_ms.max(reading.wall_ms),",
        "false => reading.wall_ms,",
    ),
    core(
        29,
        "the wall clock tells the time",
        CLOCK,
        "self.at_ms.saturating_add(passed.max(0))",
        "reading.wall_ms.saturating_add(0 * passed)",
    ),
    core(
        29,
        "a verification window does not close",
        CLOCK,
        "&& reading.since_boot_ms.saturating_sub(self.begun_ms) < self.length_ms",
        "",
    ),
    core(
        30,
        "a verification is not bound to its amount",
        COVERS,
        "Self::Exactly(agreed) => agreed == money,",
        "Self::Exactly(agreed) => agreed.currency == money.currency,",
    ),
    core(
        30,
        "the ceiling does not hold",
        COVERS,
        "money.minor <= most.minor",
        "money.minor <= i64::MAX",
    ),
    core(
        30,
        "a verification has no end",
        VERIFY,
        "held.id == id && held.good_for.permits(&self.clock.now()) && covers(held.purpose)",
        "held.id == id && covers(held.purpose)",
    ),
    core(
        31,
        "any key verifies",
        VERIFY,
        "let genuine = key.public_halves()? == person.public;",
        "let genuine = !key.public_halves()?.lock.is_empty();",
    ),
    core(
        32,
        "a try is not written down before the PIN is looked at",
        "src/wallet/person.rs",
        "let record = record.clone();\n        keep(opened, &person)?;",
        "let record = record.clone();",
    ),
    core(
        32,
        "wrong tries cost no time",
        PIN,
        "self.wait = (delay_ms > 0).then(|| Span::new(reading, delay_ms));",
        "self.wait = (delay_ms < 0).then(|| Span::new(reading, delay_ms));",
    ),
    core(
        32,
        "starting the phone again ends a wait",
        CLOCK,
        "false => reading.since_boot_ms,",
        "false => self.length_ms,",
    ),
    core(
        2,
        "a production app takes keys in software",
        "src/wallet/mod.rs",
        "if config.production && ",
        "if !config.production && config.production && ",
    ),
    core(
        33,
        "rows go before keys",
        WIPE,
        "let marked = mark(folder, installation.as_ref());",
        "remove(&folder.join(VAULT))?;\n        let marked = mark(folder, installation.as_ref());",
    ),
    core(
        33,
        "a wipe that was begun is forgotten",
        WIPE,
        "folder.join(MARKER).exists()",
        "folder.join(MARKER).is_symlink()",
    ),
    core(
        34,
        "a suspended card stays in the field",
        "src/wallet/lifecycle.rs",
        "            wallet.tap.take_out(token)\n        }",
        "            match state {\n                TokenLife::Suspended => Vec::new(),\n                _ => wallet.tap.take_out(token),\n            }\n        }",
    ),
    core(
        34,
        "the next process arms a suspended card",
        "src/wallet/arm.rs",
        "stored.state == TokenLife::Active\n        && stored.token",
        "stored.token",
    ),
    core(
        41,
        "the issuer's limit is passed by one",
        "src/risk.rs",
        "score >= self.block_at",
        "score > self.block_at",
    ),
    core(
        41,
        "readers are answered whatever the score",
        TAP,
        "self.refusal.or(self.risk_refusal()).or(locked)",
        "self.refusal.or(locked)",
    ),
    core(
        43,
        "versions compare as text",
        "src/backend/protocol/policy.rs",
        "version(app_version) >= version(&self.minimum_app_version)",
        "app_version >= self.minimum_app_version.as_str()",
    ),
    core(
        43,
        "an app that is too old pays",
        STANDING,
        "(false, false) => Some(TapRefusal::Outdated),",
        "(false, false) => None,",
    ),
];
