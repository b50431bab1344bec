//! `tapcore phone password`: set, changed, forgotten.
//!
//! A reset waits for a code that the bank sends, perhaps longer than one command runs. Which one is open is remembered in
//! the wallet's folder, as an app remembers it in its own settings; the reset's identifier alone opens nothing.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Subcommand;
use serde::{Deserialize, Serialize};

use super::card::{last_four, sms_prompt};
use super::{Phone, ask, print};

#[derive(Subcommand)]
pub(super) enum PasswordCommand {
    /// Set the first payment password, 6 to 64 characters
    Set {
        /// The password
        #[arg(long, value_name = "PASSWORD")]
        password: Option<String>,
    },
    /// Change the payment password; asks for the old one first, then for the new one
    Change {
        /// The password that is set
        #[arg(long, value_name = "PASSWORD")]
        old: Option<String>,
        /// The new one
        #[arg(long, value_name = "PASSWORD")]
        password: Option<String>,
    },
    /// Set a new password where the old one is forgotten or locked; the bank of a card in the wallet sends a code by SMS
    Forgot {
        /// The number of a card in the wallet
        #[arg(long, value_name = "PAN")]
        number: String,
        /// When the card expires
        #[arg(long, value_name = "MM/YY")]
        expiry: String,
        /// The code, for a reset that was begun before
        #[arg(long, value_name = "CODE")]
        sms: Option<String>,
        /// The new password; asked for after the code
        #[arg(long, value_name = "PASSWORD")]
        password: Option<String>,
    },
}

pub(super) async fn run(phone: &Phone, command: PasswordCommand) -> anyhow::Result<()> {
    let wallet = &phone.wallet;
    wallet.open().await?;
    match command {
        PasswordCommand::Set { password } => {
            let password = ask::secret(password, "payment password")?;
            wallet.set_payment_password(password).await?;
        }
        PasswordCommand::Change { old, password } => {
            let old = ask::secret(old, "old payment password")?;
            let new = ask::secret(password, "new payment password")?;
            wallet.change_payment_password(old, new).await?;
        }
        PasswordCommand::Forgot {
            number,
            expiry,
            sms,
            password,
        } => {
            let card = last_four(&number);
            let (reset, code) = match sms {
                Some(code) => {
                    let open = OpenReset::read(phone).filter(|open| open.card == card);
                    let open = open.context(
                        "no code is awaited for this card: run the command without --sms, and its bank will send one",
                    )?;
                    (open.reset_id, code)
                }
                None => begin(phone, number, expiry, card).await?,
            };
            let new = ask::secret(password, "new payment password")?;
            wallet.finish_password_reset(reset, code, new).await?;
            OpenReset::forget(phone);
        }
    }
    print("The payment password is set.")
}

async fn begin(
    phone: &Phone,
    number: String,
    expiry: String,
    card: String,
) -> anyhow::Result<(String, String)> {
    let reset = phone.wallet.begin_password_reset(number, expiry).await?;
    let open = OpenReset {
        reset_id: reset.id,
        card,
    };
    open.keep(phone)?;
    match ask::line(&sms_prompt(&reset.bank, &reset.masked_card))? {
        Some(code) => Ok((open.reset_id, code.trim().to_owned())),
        None => bail!(
            "no code was given; the bank still waits for it: run the same command with --sms CODE"
        ),
    }
}

/// A reset that waits for its code.
#[derive(Serialize, Deserialize)]
struct OpenReset {
    reset_id: String,
    /// The card's last four digits.
    card: String,
}

impl OpenReset {
    fn path(phone: &Phone) -> PathBuf {
        phone.data.join("password-reset.json")
    }

    fn read(phone: &Phone) -> Option<Self> {
        serde_json::from_slice(&fs::read(Self::path(phone)).ok()?).ok()
    }

    fn keep(&self, phone: &Phone) -> anyhow::Result<()> {
        fs::write(Self::path(phone), serde_json::to_vec(self)?)
            .context("the wallet's folder cannot be written")
    }

    fn forget(phone: &Phone) {
        // Where it stays, the provider refuses it as used.
        let _ = fs::remove_file(Self::path(phone));
    }
}

/// What the shell remembers goes when the wallet does.
pub(super) fn forget_with_wallet(phone: &Phone) {
    if !phone.data.join("vault.db").exists() {
        OpenReset::forget(phone);
    }
}
