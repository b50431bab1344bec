//! `tapcore phone card to-maker`: a card goes into the wallet of the phone's maker, which is played here.
//!
//! On a phone the shell carries what the core gives it to the maker's wallet by the platform's call. Here the same process
//! plays that wallet: it opens the box, checks the network's signature and fetches its token at the network.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use sandbox_kit::bytes;
use sandbox_kit::client::{CallError, Client};
use sandbox_kit::hpke::Sealed;
use sandbox_kit::keys::PartyKey;
use sandbox_kit::maker_wallet::{MAKER, MakerWallet, signing_key};
use serde_json::{Value, json};
use tapcore::ffi::{MakerAsk, Purpose};

use super::card::find;
use super::{Phone, print};

#[derive(Args)]
pub(super) struct ToMakerArgs {
    /// The token's reference, or the last four digits of token or card
    #[arg(long, value_name = "REF")]
    token: String,
    /// The payment network's address, as the sandbox says it when it is ready
    #[arg(long, value_name = "URL")]
    network: String,
    /// The only root certificate to trust, PEM
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// The PIN, where one is set
    #[arg(long, value_name = "PIN")]
    pin: Option<String>,
}

pub(super) async fn run(phone: &Phone, args: ToMakerArgs) -> anyhow::Result<()> {
    let card = find(&phone.wallet, &args.token).await?;
    let ca =
        std::fs::read(&args.ca).with_context(|| format!("{} cannot be read", args.ca.display()))?;
    let client = Client::new(&ca, signing_key(), MAKER)?;
    let url = args.network.trim_end_matches('/');

    let maker = MakerWallet::begin();
    let asked = maker.ask();
    let given = |text: &str| bytes::from_hex(text).context("the maker's wallet speaks hex");
    let ask = MakerAsk {
        maker: asked.maker.clone(),
        maker_key: given(&asked.maker_key)?,
        nonce: given(&asked.nonce)?,
        maker_signature: given(&asked.maker_signature)?,
    };
    let verified = match args.pin {
        Some(pin) => Some(phone.wallet.verify_with_pin(pin, Purpose::Access).await?),
        None => None,
    };
    let passed = phone.wallet.pass_to_maker(card.token_ref, ask, verified);
    let pass = passed.await?;

    let sealed: Sealed = serde_json::from_value(json!({
        "enc": hex::encode_upper(&pass.encapsulated_key),
        "ciphertext": hex::encode_upper(&pass.ciphertext),
    }))?;
    let network: Value = match client.get(&format!("{url}/v1/keys")).await {
        Ok(keys) => keys,
        Err(error) => bail!("the network does not answer: {}", told(error)),
    };
    let key = network["signing_key"].as_str().and_then(bytes::from_hex);
    let payload = maker.open(&key.context("the network names no key")?, &sealed)?;
    let fetch = json!({
        "activation": payload["activation"],
        "provisioning_key": PartyKey::generate().public_hex(),
    });
    let idempotency = bytes::to_hex(&bytes::random::<16>());
    let url = format!("{url}/v1/maker-tokens");
    match client
        .post::<_, Value>(&url, &fetch, Some(&idempotency))
        .await
    {
        Ok(_) => print(format_args!(
            "Card {} pays from the wallet of {MAKER} as well, as {}.",
            card.masked_card, pass.token_ref
        )),
        Err(error) => bail!("the network gives no token: {}", told(error)),
    }
}

fn told(error: CallError) -> String {
    match error {
        CallError::Refused(problem) => problem.detail,
        CallError::Unreachable(why) | CallError::Malformed(why) => why,
    }
}
