//! Registration of terminals: a key becomes a terminal of the merchant, once.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use sandbox_kit::bind::bind;
use sandbox_kit::problem::Problem;
use sandbox_kit::signed::{KeyDirectory, KeyFuture};
use sandbox_kit::{ApiJson, bytes, keys};
use serde::{Deserialize, Serialize};

use crate::store::Store;
use crate::{CaKey, Shared};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registration {
    public_key: String,
    proof: String,
}

#[derive(Serialize)]
pub(crate) struct Registered {
    terminal_id: String,
    merchant_id: String,
    merchant: String,
    mcc: String,
    country: String,
    currency: String,
    aids: Vec<String>,
    ca_keys: Vec<CaKey>,
    acquirer_key: String,
}

pub(crate) async fn register(
    State(acquirer): State<Shared>,
    ApiJson(request): ApiJson<Registration>,
) -> Result<(StatusCode, Json<Registered>), Problem> {
    let public = keys::public_from_hex(&request.public_key).ok_or_else(|| {
        Problem::invalid("public_key must be a P-256 point, uncompressed, 130 hex digits.")
    })?;
    let proof = bytes::from_hex_exact::<64>(&request.proof)
        .ok_or_else(|| Problem::invalid("proof must be 128 hex digits."))?;
    if !keys::verify(&public, &bind("tapcore-terminal-v1", &[&public]), &proof) {
        return Err(Problem::new(
            403,
            "proof_invalid",
            "Proof not valid",
            "The proof is not the terminal key's signature over its public key.",
        ));
    }
    let merchant = &acquirer.merchant;
    let terminal_id = acquirer
        .store
        .terminal_of_key(&bytes::to_hex(&public), &merchant.merchant_id)
        .await?;
    let registered = Registered {
        terminal_id,
        merchant_id: merchant.merchant_id.clone(),
        merchant: merchant.name.clone(),
        mcc: merchant.mcc.clone(),
        country: merchant.country.clone(),
        currency: merchant.currency.clone(),
        aids: acquirer.aids.clone(),
        ca_keys: acquirer.ca_keys.clone(),
        acquirer_key: acquirer.key.public_hex(),
    };
    Ok((StatusCode::CREATED, Json(registered)))
}

/// The terminals' keys, as the verifier of signatures looks them up.
pub(crate) struct Terminals(pub(crate) Store);

impl KeyDirectory for Terminals {
    fn public_key<'a>(&'a self, key_id: &'a str) -> KeyFuture<'a> {
        Box::pin(async move {
            let key = self.0.key_of_terminal(key_id).await?;
            key.as_deref()
                .and_then(keys::public_from_hex)
                .ok_or_else(|| {
                    Problem::new(
                        401,
                        "terminal_unknown",
                        "Unknown terminal",
                        "This terminal is not registered here. Register it again.",
                    )
                })
        })
    }
}
