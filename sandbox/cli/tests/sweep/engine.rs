//! The sweep: an operation is run again and again from the same beginning, and each time its next disk operation fails.

use std::collections::BTreeMap;

use fault_vfs::{Code, Fault, Loss};
use tapcore::ffi::{CodeKind, Damage, WalletError};

use crate::anchor::Trouble;
use crate::common::Sandbox;
use crate::oracle::{Found, examine};
use crate::phone::{Life, Phone, wait};

/// How many of the points are swept: each one (`TAPCORE_SWEEP=full`), or ever fewer of them, in the end every nth
/// (`TAPCORE_SWEEP=n`).
fn stride() -> u64 {
    match std::env::var("TAPCORE_SWEEP").as_deref() {
        Ok("full") => 1,
        Ok(number) => number
            .parse()
            .ok()
            .filter(|stride| *stride > 0)
            .expect("TAPCORE_SWEEP is `full` or a number above 0"),
        Err(_) => 12,
    }
}

/// What a run tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is done, and all payments are in the journal.
    Journalled,
    /// It is done or has failed; what is in the journal was told by the wallet.
    Ended,
}

/// An operation of the core under the sweep.
pub(crate) struct Operation<'a> {
    /// What it is called in messages.
    pub(crate) name: &'a str,
    /// The phone that each run begins with.
    pub(crate) begins: &'a Phone,
    /// What happens before faults do.
    pub(crate) prepare: &'a dyn Fn(&Life),
    /// What is swept.
    pub(crate) run: &'a dyn Fn(&Life) -> Result<Outcome, WalletError>,
    /// What else must hold of the phone, before it is examined, given whether the operation said that it was done.
    pub(crate) expect: &'a dyn Fn(&mut Phone, bool, &str),
    /// Whether losing everything may be the end of it; only before there is anything to lose.
    pub(crate) may_be_lost: bool,
}

/// What can befall an operation.
#[derive(Clone, Copy, Debug)]
enum Variant {
    Once(Code),
    Lasting(Code),
    Cut,
    KeyStore(Trouble),
}

impl Variant {
    const DISK: [Self; 5] = [
        Self::Once(Code::Io),
        Self::Once(Code::Full),
        Self::Lasting(Code::Io),
        Self::Lasting(Code::Full),
        Self::Cut,
    ];

    /// Lets it befall this process, at this operation or call from now.
    fn plan(self, at: u64, life: &Life) {
        match self {
            Self::Once(code) => life.disk.plan(Fault::Once { at, code }),
            Self::Lasting(code) => life.disk.plan(Fault::Lasting { at, code }),
            Self::Cut => life.disk.plan(Fault::Cut { at }),
            Self::KeyStore(trouble) => life.hardware.plan(at, trouble),
        }
    }

    /// What may be left of the disk when the process is no more. The point is the seed, so it is in every message.
    fn losses(self, seed: u64, stride: u64) -> Vec<Loss> {
        let killed = matches!(
            self,
            Self::Cut | Self::KeyStore(Trouble::KilledBefore | Trouble::KilledAfter)
        );
        let every = [
            Loss::Unsynced,
            Loss::Nothing,
            Loss::Some { seed },
            Loss::Torn { seed },
        ];
        match (killed, stride) {
            (false, _) => vec![Loss::Nothing],
            (true, 1) => every.to_vec(),
            // The strictest always, the others in turn.
            (true, _) => {
                let [strictest, others @ ..] = every;
                let turn = usize::try_from(seed).unwrap() % others.len();
                vec![strictest, others[turn]]
            }
        }
    }
}

/// Sweeps an operation over the disk's faults, every variant to its end, and prints how many points there were.
#[track_caller]
pub(crate) fn sweep(sandbox: &Sandbox, operation: &Operation<'_>) {
    sweep_variants(sandbox, operation, &Variant::DISK, stride());
}

/// Sweeps an operation over trouble at its calls to the key store. They are few, so more of them are met.
#[track_caller]
pub(crate) fn sweep_key_store(sandbox: &Sandbox, operation: &Operation<'_>) {
    let troubles = Trouble::REFUSED.map(Variant::KeyStore);
    sweep_variants(sandbox, operation, &troubles, stride().div_ceil(4));
    let troubles = Trouble::TOLD.map(Variant::KeyStore);
    sweep_variants(sandbox, operation, &troubles, stride());
}

#[track_caller]
fn sweep_variants(sandbox: &Sandbox, operation: &Operation<'_>, variants: &[Variant], stride: u64) {
    let panics = Panics::watch();
    let mut report = Vec::new();
    for (number, variant) in (0..).zip(variants.iter().copied()) {
        let mut points = 0;
        let mut found = BTreeMap::<_, u32>::new();
        // Variants begin apart, so that few points still meet many operations.
        let mut at = 1 + number % stride.min(3);
        loop {
            let losses = variant.losses(at, stride);
            let hit = point(sandbox, operation, (variant, at), &losses, &mut found);
            panics.none(operation.name, variant);
            if !hit {
                break;
            }
            points += 1;
            // Short operations are met nearly everywhere, long ones not for ever.
            at += at.min(stride);
        }
        report.push(format!("{variant:?}: {points} points, {found:?}"));
    }
    println!(
        "sweep of {}, stride {stride}: {}",
        operation.name,
        report.join("; ")
    );
}

/// One run under one fault; answers whether the fault has hit.
#[track_caller]
fn point(
    sandbox: &Sandbox,
    operation: &Operation<'_>,
    (variant, at): (Variant, u64),
    losses: &[Loss],
    found: &mut BTreeMap<String, u32>,
) -> bool {
    let begins = operation.begins.fork();
    let life = begins.live();
    (operation.prepare)(&life);
    variant.plan(at, &life);
    let outcome = (operation.run)(&life);
    let place = life.disk.hit();
    let hit = place.is_some() || life.hardware.heal();
    let what = match place {
        Some(place) => format!("{} under {variant:?} at {place:?}", operation.name),
        None => format!("{} under {variant:?} at call {at}", operation.name),
    };
    if let Err(error) = &outcome {
        is_typed(error, variant, &what);
        assert!(
            hit,
            "{what}: failed without a fault: {error} (code {})",
            error.code()
        );
    }
    if !life.disk.is_dead() && hit && at % 2 == 0 {
        goes_on(&life, &begins, variant, &what);
    }
    for loss in losses {
        let what = format!("{what}, {loss:?}, in {}", begins.data.display());
        let mut after = life.ends(&begins, *loss, begins.fresh_folder());
        if matches!(outcome, Ok(Outcome::Journalled)) {
            let paid = life.paid().into_iter().map(|paid| paid.atc);
            after.journalled.extend(paid);
        }
        after.journalled.sort_unstable();
        after.journalled.dedup();
        (operation.expect)(&mut after, outcome.is_ok(), &what);
        let state = examine(&mut after, sandbox, &what);
        assert!(
            state != Found::Lost || operation.may_be_lost,
            "{what}: told to enrol again"
        );
        *found.entry(format!("{state:?}")).or_default() += 1;
    }
    hit
}

/// The disk works again and the same process lives on: it pays, and never under a counter or alias that has left.
#[track_caller]
fn goes_on(life: &Life, begins: &Phone, variant: Variant, what: &str) {
    life.disk.heal();
    let going = life.start().is_ok();
    if going {
        for _ in 0..2 {
            // A phone without a card refuses, as it should.
            drop(life.tap());
        }
        if begins.stocked.is_some() {
            for kind in [CodeKind::ConsumerPresented, CodeKind::Numeric] {
                drop(life.show(kind));
            }
        }
    }
    if let Err(error) = wait(life.wallet.shut_down()) {
        is_typed(&error, variant, what);
    }
}

/// A failing disk or key store is told as what it is: not as lost data, not as a fault of the core's own. A key that the
/// platform itself calls gone or invalid is lost, for all that the core can know.
#[track_caller]
fn is_typed(error: &WalletError, variant: Variant, what: &str) {
    let as_told = match (variant, error) {
        (Variant::KeyStore(Trouble::Cancelled), WalletError::Cancelled { .. }) => true,
        (Variant::KeyStore(Trouble::Gone), WalletError::Corrupt { reason, .. }) => {
            *reason == Damage::KeyGone
        }
        (Variant::KeyStore(Trouble::Invalidated), WalletError::Corrupt { reason, .. }) => {
            *reason == Damage::KeyInvalidated
        }
        _ => false,
    };
    let fits = matches!(
        error,
        WalletError::Storage { .. }
            | WalletError::Locked { .. }
            | WalletError::Blocked { .. }
            | WalletError::NotEnrolled { .. }
    );
    assert!(as_told || fits, "{what}: {error} (code {})", error.code());
}

/// Counts panics of the core's own threads.
struct Panics;

static PANICS: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());

impl Panics {
    fn watch() -> Self {
        static HOOK: std::sync::Once = std::sync::Once::new();
        HOOK.call_once(|| {
            let usual = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                if std::thread::current().name() == Some("tapcore") {
                    PANICS.lock().unwrap().push(info.to_string());
                }
                usual(info);
            }));
        });
        Self
    }

    #[track_caller]
    fn none(&self, name: &str, variant: Variant) {
        let panics = PANICS.lock().unwrap();
        assert!(panics.is_empty(), "{name} under {variant:?}: {panics:#?}");
    }
}
