//! `tapcore phone card`: adding a card, and its life.

use std::io::IsTerminal;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use tapcore::ffi::{AccountType, CardChallenge, CardState, PaymentCard, Wallet, WalletError};

use super::{Phone, ask, maker, print};

#[derive(Subcommand)]
pub(super) enum CardCommand {
    /// Turn a bank card into a payment token; its bank sends a code by SMS
    Add {
        /// The card number
        #[arg(long, value_name = "PAN")]
        number: String,
        /// When the card expires
        #[arg(long, value_name = "MM/YY")]
        expiry: String,
        /// Whose card the phone is to be at readers
        #[arg(long, value_enum, default_value_t = Profile::Unionpay)]
        profile: Profile,
        /// The code, for a card that was begun before
        #[arg(long, value_name = "CODE")]
        sms: Option<String>,
    },
    /// List the cards
    List {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Hold a card back at once, with or without a network
    Suspend(Which),
    /// Let a suspended card pay again
    Resume(Which),
    /// Delete a card for good
    Delete(Which),
    /// Make a card the default one: readers see it first
    Default(Which),
    /// Add a card to the wallet of the phone's maker as well, which is played here
    ToMaker(maker::ToMakerArgs),
}

/// A payment scheme.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Profile {
    /// UnionPay QuickPass style
    Unionpay,
    /// Visa style
    Visa,
    /// Mastercard style
    Mastercard,
}

impl Profile {
    /// The name that the network knows it by.
    fn name(self) -> &'static str {
        match self {
            Self::Unionpay => "unionpay",
            Self::Visa => "visa",
            Self::Mastercard => "mastercard",
        }
    }
}

#[derive(Args)]
pub(super) struct Which {
    /// The token's reference, or the last four digits of token or card
    #[arg(long, value_name = "REF")]
    token: String,
}

pub(super) async fn run(phone: &Phone, command: CardCommand) -> anyhow::Result<()> {
    let wallet = &phone.wallet;
    wallet.open().await?;
    match command {
        CardCommand::Add {
            number,
            expiry,
            profile,
            sms,
        } => add(wallet, number, expiry, profile, sms).await,
        CardCommand::List { json } => list(wallet, json).await,
        CardCommand::Suspend(which) => {
            let card = find(wallet, &which.token).await?;
            wallet.suspend_card(card.token_ref).await?;
            ended(wallet, &card.masked_token, "suspended").await
        }
        CardCommand::Resume(which) => {
            let card = find(wallet, &which.token).await?;
            wallet.resume_card(card.token_ref).await?;
            print(format_args!("Token {} pays again.", card.masked_token))
        }
        CardCommand::Default(which) => {
            let card = find(wallet, &which.token).await?;
            wallet.set_default_card(card.token_ref).await?;
            print(format_args!(
                "Token {} is shown to readers first.",
                card.masked_token
            ))
        }
        CardCommand::ToMaker(args) => maker::run(phone, args).await,
        CardCommand::Delete(which) => {
            let card = find(wallet, &which.token).await?;
            wallet.delete_card(card.token_ref).await?;
            ended(wallet, &card.masked_token, "deleted").await
        }
    }
}

async fn add(
    wallet: &Wallet,
    number: String,
    expiry: String,
    profile: Profile,
    sms: Option<String>,
) -> anyhow::Result<()> {
    let last_four = last_four(&number);
    let (challenge, code) = match sms {
        Some(code) => {
            let open = wallet.open_challenges().await?;
            let challenge = open
                .into_iter()
                .find(|challenge| challenge.masked_card.ends_with(&last_four));
            let challenge = challenge.context(
                "no code is awaited for this card: run the command without --sms, and its bank will send one",
            )?;
            (challenge, Some(code))
        }
        None => {
            let scheme = Some(profile.name().to_owned());
            (wallet.begin_add_card(number, expiry, scheme).await?, None)
        }
    };
    let card = match code {
        Some(code) => wallet.finish_add_card(challenge.id, code).await?,
        None => ask_until_right(wallet, challenge).await?,
    };
    print(format_args!(
        "Card {} of {} pays as token {} until {}.",
        card.masked_card, card.bank, card.masked_token, card.expiry
    ))
}

/// Reads codes from standard input. A person may try again; a pipe gets one line.
async fn ask_until_right(wallet: &Wallet, challenge: CardChallenge) -> anyhow::Result<PaymentCard> {
    let person = std::io::stdin().is_terminal();
    let prompt = sms_prompt(&challenge.bank, &challenge.masked_card);
    loop {
        let Some(code) = ask::line(&prompt)? else {
            bail!(
                "no code was given; the bank still waits for it: run the same command with --sms CODE"
            );
        };
        match wallet
            .finish_add_card(challenge.id.clone(), code.trim().to_owned())
            .await
        {
            Err(WalletError::Rejected { reason, detail })
                if person && reason == "sms_code_wrong" =>
            {
                eprintln!("{detail}")
            }
            answer => return Ok(answer?),
        }
    }
}

/// What is said when a bank has sent a code.
pub(super) fn sms_prompt(bank: &str, masked_card: &str) -> String {
    format!("{bank} has sent a code by SMS for card {masked_card}. Code")
}

/// The last four digits of a card number, however it is written.
pub(super) fn last_four(number: &str) -> String {
    let digits: Vec<char> = number.chars().filter(char::is_ascii_digit).collect();
    digits.iter().skip(digits.len().saturating_sub(4)).collect()
}

async fn list(wallet: &Wallet, json: bool) -> anyhow::Result<()> {
    let cards = wallet.cards().await?;
    if json {
        let cards: Vec<_> = cards.iter().map(card_json).collect();
        return print(json!({ "cards": cards }));
    }
    if cards.is_empty() {
        print("No cards yet.")?;
    }
    for card in cards {
        print(format_args!(
            "{}  {:<20}  {} {}  until {}  {}",
            card.token_ref,
            card.masked_token,
            card.bank,
            card.masked_card,
            card.expiry,
            state(card.state),
        ))?;
    }
    Ok(())
}

fn card_json(card: &PaymentCard) -> Value {
    json!({
        "token_ref": card.token_ref,
        "token": card.masked_token,
        "card": card.masked_card,
        "bank": card.bank,
        "account_type": match card.account_type {
            AccountType::BankCard => "bank_card",
            AccountType::Credit => "credit",
            AccountType::Prepaid => "prepaid",
        },
        "expiry": card.expiry,
        "state": state(card.state),
        "scheme": card.scheme,
        "home": card.home,
    })
}

fn state(state: CardState) -> &'static str {
    match state {
        CardState::Active => "active",
        CardState::Suspended => "suspended",
        CardState::Deleted => "deleted",
    }
}

/// The one card that is meant.
pub(super) async fn find(wallet: &Wallet, which: &str) -> anyhow::Result<PaymentCard> {
    let cards = wallet.cards().await?;
    if let Some(card) = cards.iter().find(|card| card.token_ref == which) {
        return Ok(card.clone());
    }
    let four = which.len() == 4 && which.bytes().all(|byte| byte.is_ascii_digit());
    let fits = |card: &&PaymentCard| {
        four && (card.masked_token.ends_with(which) || card.masked_card.ends_with(which))
    };
    let mut fitting = cards.iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(card), None) => Ok(card.clone()),
        (Some(_), Some(_)) => bail!(
            "more than one card ends with these digits: give the token's reference, which `card list` shows"
        ),
        (None, _) => bail!("there is no such card in this wallet: `card list` shows them"),
    }
}

/// The card is out of the field already; the network is told now if it can be reached.
async fn ended(wallet: &Wallet, token: &str, how: &str) -> anyhow::Result<()> {
    print(format_args!("Token {token} is {how} on this phone."))?;
    match wallet.sync().await {
        Ok(_) => Ok(()),
        Err(WalletError::Network { .. }) => {
            eprintln!("The provider cannot be reached now; the next sync tells the network.");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
