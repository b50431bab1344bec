//! `tapcore phone pay`: a shop's own code, read and paid.
//!
//! Whom the money goes to is what the provider says, not what the code claims. At a terminal the person is asked before
//! anything is paid; anywhere else the command itself is the person's word.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use sandbox_terminal::amount;
use serde_json::{Value, json};
use tapcore::ffi::{CodePayment, CodePaymentState, MerchantOffer, Purpose, WalletError};

use super::card::find;
use super::confirm::money;
use super::person::verify_by_finger;
use super::{Phone, ask, code, print};

/// The one currency whose amounts are typed here.
const CURRENCY: &str = "CNY";

#[derive(Args)]
pub(super) struct PayArgs {
    /// The text of the shop's code
    #[arg(value_name = "CODE")]
    code: String,
    /// What is to be paid, where the code does not say, such as 12.50
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
    amount: Option<String>,
    /// The card that pays: its token's reference or the last four digits [default: the default card]
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    #[command(flatten)]
    proof: ProofArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// How the person confirms a payment that wants it.
#[derive(Args)]
pub(super) struct ProofArgs {
    /// Confirm, where that is wanted, by PIN; without a value it is asked for
    #[arg(long, value_name = "PIN", num_args = 0..=1, conflicts_with_all = ["finger", "password"])]
    pin: Option<Option<String>>,
    /// Confirm by fingerprint
    #[arg(long, conflicts_with = "password")]
    finger: bool,
    /// Confirm by payment password, also when no way is named; without a value it is asked for
    #[arg(long, value_name = "PASSWORD", num_args = 0..=1)]
    password: Option<Option<String>>,
}

/// Whether somebody can be asked for what was not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    /// On standard input.
    Input,
    /// Standard input is for words.
    Nobody,
}

/// Pays. Exit codes: 0 approved, 3 declined, 1 not decided yet.
pub(super) async fn run(phone: &Phone, args: PayArgs) -> anyhow::Result<ExitCode> {
    phone.wallet.open().await?;
    let offer = phone.wallet.read_merchant_code(args.code.clone()).await?;
    let minor = amount_of(&offer, &args, Asking::Input)?;
    eprintln!(
        "{} {} to {}, {}",
        amount::show(minor),
        offer.currency,
        offer.payee,
        offer.city
    );
    if offer.tip.is_some() {
        eprintln!("The code speaks of a tip or fee as well; it is not added.");
    }
    if std::io::stdin().is_terminal() && !yes(ask::line("Pay? [y/N]")?.as_deref()) {
        bail!("nothing was paid");
    }
    let payment = pay(phone, offer.clone(), minor, &args).await?;
    let payment = match payment.wants_password {
        true => confirm(phone, payment, &args.proof, Asking::Input).await?,
        false => payment,
    };
    match args.json {
        true => print(as_json(&offer, &payment))?,
        false => print(in_words(&offer, &payment))?,
    }
    Ok(match payment.state {
        CodePaymentState::Approved => ExitCode::SUCCESS,
        CodePaymentState::Declined | CodePaymentState::Revoked => ExitCode::from(3),
        CodePaymentState::Pending => {
            eprintln!("The payment is not decided yet: the statement will say, after a sync.");
            ExitCode::FAILURE
        }
    })
}

/// Pays at the word of a person at a phone that serves. A payment that wants the person, without a word of how, is
/// answered as it stands.
pub(super) async fn by_word(
    phone: &Phone,
    args: &PayArgs,
) -> anyhow::Result<(MerchantOffer, CodePayment)> {
    let offer = phone.wallet.read_merchant_code(args.code.clone()).await?;
    let minor = amount_of(&offer, args, Asking::Nobody)?;
    let payment = pay(phone, offer.clone(), minor, args).await?;
    let payment = match payment.wants_password && args.proof.is_given() {
        true => confirm(phone, payment, &args.proof, Asking::Nobody).await?,
        false => payment,
    };
    Ok((offer, payment))
}

fn yes(answer: Option<&str>) -> bool {
    let answer = answer.map(|typed| typed.trim().to_ascii_lowercase());
    matches!(answer.as_deref(), Some("y" | "yes"))
}

/// What is to be paid: what the code says, or what the person says where it does not.
fn amount_of(offer: &MerchantOffer, args: &PayArgs, asking: Asking) -> anyhow::Result<i64> {
    let given = match &args.amount {
        Some(text) => Some(money("--amount", text)?),
        None => None,
    };
    match (offer.amount_minor, given) {
        (Some(asked), None) => Ok(asked),
        (Some(asked), Some(given)) if asked == given => Ok(asked),
        (Some(asked), Some(_)) => bail!(
            "the code asks for {} {}: pay that, or nothing",
            amount::show(asked),
            offer.currency
        ),
        (None, _) if offer.currency != CURRENCY => bail!(
            "the code leaves the amount open, in {}: only {CURRENCY} can be given here",
            offer.currency
        ),
        (None, Some(given)) => Ok(given),
        (None, None) => {
            let typed = match asking == Asking::Input && std::io::stdin().is_terminal() {
                true => ask::line("Amount")?,
                false => None,
            };
            let typed = typed.context("the code leaves the amount open: give it with --amount")?;
            money("the amount", typed.trim())
        }
    }
}

async fn pay(
    phone: &Phone,
    offer: MerchantOffer,
    minor: i64,
    args: &PayArgs,
) -> anyhow::Result<CodePayment> {
    let wallet = &phone.wallet;
    let card = match &args.account {
        Some(which) => Some(find(wallet, which).await?.token_ref),
        None => None,
    };
    let paid = wallet
        .pay_merchant(offer.clone(), minor, card.clone())
        .await;
    match paid {
        // The answer may be lost alone: asked again about the same offer, the provider pays once.
        Err(WalletError::Network { .. }) => {
            let again = wallet.pay_merchant(offer, minor, card).await;
            if let Err(WalletError::Network { .. }) = &again {
                eprintln!(
                    "It may be paid: look at the statement, after a sync, before you pay again."
                );
            }
            Ok(again?)
        }
        paid => Ok(paid?),
    }
}

/// Confirms a payment that wants the person.
pub(super) async fn confirm(
    phone: &Phone,
    payment: CodePayment,
    proof: &ProofArgs,
    asking: Asking,
) -> anyhow::Result<CodePayment> {
    let wallet = &phone.wallet;
    let secret = |given: Option<String>, name: &str| match (given, asking) {
        (Some(given), _) => Ok(given),
        (None, Asking::Input) => ask::secret(None, name),
        (None, Asking::Nobody) => bail!("the payment wants the {name}: give it with the word"),
    };
    let purpose = Purpose::Payment {
        amount_minor: payment.amount_minor,
        currency: payment.currency.clone(),
    };
    let verification = match (proof.finger, &proof.pin) {
        (true, _) => verify_by_finger(phone, purpose, false).await?,
        (false, Some(pin)) => {
            let pin = secret(pin.clone(), "PIN")?;
            wallet.verify_with_pin(pin, purpose).await?
        }
        (false, None) => {
            let password = secret(proof.password.clone().flatten(), "payment password")?;
            let confirmed = wallet.confirm_code_payment_with_password(payment, password);
            return Ok(confirmed.await?);
        }
    };
    Ok(wallet.confirm_code_payment(payment, verification).await?)
}

impl ProofArgs {
    /// Whether a way is named.
    fn is_given(&self) -> bool {
        self.finger || self.pin.is_some() || self.password.is_some()
    }
}

/// A payment of a shop's code as scripts read it: `pending` where it is not decided, or wants the person.
pub(super) fn as_json(offer: &MerchantOffer, payment: &CodePayment) -> Value {
    json!({
        "result": result(payment),
        "reason": payment.reason,
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
        "payee": offer.payee,
        "payment_id": payment.payment_id,
        "authorisation": payment.authorisation,
        "account": payment.token_ref,
    })
}

fn in_words(offer: &MerchantOffer, payment: &CodePayment) -> String {
    let reason = payment.reason.as_ref();
    let reason = reason.map(|reason| format!(" ({reason})"));
    format!(
        "{}{}: {} {} to {}, payment {}.",
        result(payment),
        reason.unwrap_or_default(),
        amount::show(payment.amount_minor),
        payment.currency,
        offer.payee,
        payment.payment_id
    )
}

/// One that was taken back is not paid.
fn result(payment: &CodePayment) -> &'static str {
    match payment.state {
        CodePaymentState::Revoked => code::state(CodePaymentState::Declined),
        other => code::state(other),
    }
}
