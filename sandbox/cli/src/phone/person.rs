//! The person at the phone: PIN, fingerprint, lock and unlock.

use clap::{Args, Subcommand};
use tapcore::ffi::{KeyStoreError, PersonProof, PromptOutcome, Purpose, WalletError};

use super::{Phone, ask, print};

#[derive(Subcommand)]
pub(super) enum PinCommand {
    /// Set the PIN, 6 to 12 digits, or change it; asks for the old one first, then for the new one
    Set {
        /// The new PIN
        #[arg(long, value_name = "PIN")]
        pin: Option<String>,
        /// The PIN that is set
        #[arg(long, value_name = "PIN")]
        old: Option<String>,
        /// Prove the person by fingerprint, for a PIN that was forgotten
        #[arg(long, conflicts_with = "old")]
        finger: bool,
    },
}

#[derive(Subcommand)]
pub(super) enum FingerCommand {
    /// Set the fingerprint up, or up again after the enrolled ones changed
    SetUp {
        /// The PIN, where one is set
        #[arg(long, value_name = "PIN")]
        pin: Option<String>,
    },
    /// Enrol another fingerprint on the phone, which voids what the earlier ones opened
    Change,
}

#[derive(Args)]
pub(super) struct UnlockArgs {
    /// The PIN; asked for when neither is given
    #[arg(long, value_name = "PIN", conflicts_with = "finger")]
    pin: Option<String>,
    /// By fingerprint
    #[arg(long)]
    finger: bool,
}

pub(super) async fn pin(phone: &Phone, command: PinCommand) -> anyhow::Result<()> {
    let PinCommand::Set { pin, old, finger } = command;
    phone.wallet.open().await?;
    let proof = proof_so_far(phone, old, finger, "old PIN").await?;
    let pin = ask::secret(pin, "new PIN")?;
    phone.wallet.set_pin(pin, proof).await?;
    print("The PIN is set.")
}

pub(super) async fn finger(phone: &Phone, command: FingerCommand) -> anyhow::Result<()> {
    match command {
        FingerCommand::SetUp { pin } => {
            phone.wallet.open().await?;
            let proof = proof_so_far(phone, pin, false, "PIN").await?;
            phone.wallet.set_up_verification(proof).await?;
            print("The fingerprint is set up.")
        }
        FingerCommand::Change => {
            phone.hardware.change_fingers()?;
            print("Another fingerprint is enrolled on this phone.")
        }
    }
}

pub(super) async fn lock(phone: &Phone) -> anyhow::Result<()> {
    phone.wallet.open().await?;
    phone.wallet.lock().await?;
    print("The wallet is locked.")
}

pub(super) async fn unlock(phone: &Phone, args: UnlockArgs) -> anyhow::Result<()> {
    phone.wallet.open().await?;
    let proof = match args.finger {
        true => by_finger(phone).await?,
        false => PersonProof::Pin {
            pin: ask::secret(args.pin, "PIN")?,
        },
    };
    phone.wallet.unlock(proof).await?;
    print("The wallet is unlocked.")
}

/// What proves the person who changes a way in: the PIN where there is one, else the fingerprint where that is set up;
/// nothing where neither is.
async fn proof_so_far(
    phone: &Phone,
    pin: Option<String>,
    finger: bool,
    name: &str,
) -> anyhow::Result<Option<PersonProof>> {
    let status = phone.wallet.status().await?;
    if !finger && (pin.is_some() || status.pin_tries_left.is_some()) {
        let pin = ask::secret(pin, name)?;
        return Ok(Some(PersonProof::Pin { pin }));
    }
    match finger || status.biometric {
        true => Ok(Some(by_finger(phone).await?)),
        false => Ok(None),
    }
}

async fn by_finger(phone: &Phone) -> Result<PersonProof, WalletError> {
    let id = verify_by_finger(phone, Purpose::Access, false).await?;
    Ok(PersonProof::Verification { id })
}

/// Shows the prompt, so to say: the finger is always on the sensor. Whoever only `pretend`s that somebody was there has
/// no key to show for it.
pub(super) async fn verify_by_finger(
    phone: &Phone,
    purpose: Purpose,
    pretend: bool,
) -> Result<String, WalletError> {
    let request = phone.wallet.begin_verification(purpose).await?;
    let prompted = match pretend {
        true => Ok(vec![1; 32]),
        false => phone.hardware.prompt(&request.alias, &request.wrapped),
    };
    let outcome = match prompted {
        Ok(key) => PromptOutcome::Unwrapped { key },
        Err(KeyStoreError::NotFound | KeyStoreError::Invalidated) => PromptOutcome::Invalidated,
        Err(KeyStoreError::UserCancelled | KeyStoreError::Unavailable) => PromptOutcome::Cancelled,
    };
    phone
        .wallet
        .finish_verification(request.id.clone(), outcome)
        .await?;
    Ok(request.id)
}
