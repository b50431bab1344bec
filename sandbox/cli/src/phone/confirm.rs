//! `tapcore phone confirm`: a payment that the person confirms to the provider.

use anyhow::anyhow;
use clap::Args;
use sandbox_terminal::amount;
use serde_json::json;
use tapcore::ffi::{Confirmation, Purpose};

use super::person::verify_by_finger;
use super::{Phone, ask, print};

const CURRENCY: &str = "CNY";

#[derive(Args)]
pub(super) struct ConfirmArgs {
    /// What is to be paid, such as 12.50
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
    amount: String,
    /// Who is paid
    #[arg(long, value_name = "NAME")]
    payee: String,
    /// By PIN, also when no way is named; without a value it is asked for
    #[arg(long, value_name = "PIN", num_args = 0..=1, conflicts_with_all = ["finger", "password"])]
    pin: Option<Option<String>>,
    /// By fingerprint
    #[arg(long, conflicts_with = "password")]
    finger: bool,
    /// By payment password; without a value it is asked for
    #[arg(long, value_name = "PASSWORD", num_args = 0..=1)]
    password: Option<Option<String>>,
    /// Verify the person ahead of the amount, for up to so much
    #[arg(
        long,
        value_name = "AMOUNT",
        allow_hyphen_values = true,
        conflicts_with = "password"
    )]
    up_to: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
    /// Lie: show the person another amount
    #[arg(long, hide = true, value_name = "AMOUNT", conflicts_with_all = ["password", "up_to"])]
    shown: Option<String>,
    /// Lie: use one verification for two payments
    #[arg(long, hide = true, conflicts_with = "password")]
    pub(super) twice: bool,
    /// Lie: say that somebody touched the sensor
    #[arg(long, hide = true, requires = "finger")]
    pretend: bool,
}

pub(super) async fn run(phone: &Phone, args: ConfirmArgs) -> anyhow::Result<()> {
    let minor = money("--amount", &args.amount)?;
    let wallet = &phone.wallet;
    wallet.open().await?;
    if let Some(password) = args.password {
        let password = ask::secret(password, "payment password")?;
        let confirmed =
            wallet.confirm_with_password(minor, CURRENCY.into(), args.payee.clone(), password);
        return show(minor, &args.payee, confirmed.await?, args.json);
    }
    let asked = match (&args.up_to, &args.shown) {
        (Some(ceiling), _) => Purpose::UpTo {
            amount_minor: money("--up-to", ceiling)?,
            currency: CURRENCY.into(),
        },
        (None, shown) => Purpose::Payment {
            amount_minor: match shown {
                Some(shown) => money("--shown", shown)?,
                None => minor,
            },
            currency: CURRENCY.into(),
        },
    };
    let verification = match args.finger {
        true => verify_by_finger(phone, asked, args.pretend).await?,
        false => {
            let pin = ask::secret(args.pin.flatten(), "PIN")?;
            wallet.verify_with_pin(pin, asked).await?
        }
    };
    let uses = if args.twice { 2 } else { 1 };
    for _ in 0..uses {
        let confirmed = wallet.confirm_payment(
            minor,
            CURRENCY.into(),
            args.payee.clone(),
            verification.clone(),
        );
        show(minor, &args.payee, confirmed.await?, args.json)?;
    }
    Ok(())
}

fn show(minor: i64, payee: &str, confirmed: Confirmation, json: bool) -> anyhow::Result<()> {
    if json {
        return print(json!({
            "confirmation_id": confirmed.id,
            "expires_at": confirmed.expires_at,
            "amount_minor": minor,
            "currency": CURRENCY,
            "payee": payee,
        }));
    }
    print(format_args!(
        "Confirmed {} {CURRENCY} to {payee}: {}, good until {}.",
        amount::show(minor),
        confirmed.id,
        confirmed.expires_at
    ))
}

pub(super) fn money(option: &str, text: &str) -> anyhow::Result<i64> {
    amount::parse(text).map_err(|why| anyhow!("{option} {text:?} is refused: {why}"))
}
