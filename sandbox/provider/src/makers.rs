//! A card on its way into the wallet of the phone's maker: that wallet's question relayed to the network, and the
//! network's box back. The token that will live there is written down as one of the device's before the box goes out, so
//! that its states can be ordered, and it is deleted with the phone, whether or not the wallet ever fetches it.

use axum::extract::State;
use sandbox_kit::event::Event;
use sandbox_kit::hpke::Sealed;
use sandbox_kit::idempotency::{Answer, IdempotencyKey};
use sandbox_kit::problem::Problem;
use sandbox_kit::signed::SignedBy;
use sandbox_kit::{ApiJson, ApiPath};
use serde::{Deserialize, Serialize};

use crate::cards::{fingerprint, vouched};
use crate::network::relayed_key;
use crate::tokens::owner;
use crate::{Shared, form, orders, sessions};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MakerAsk {
    maker: String,
    maker_key: String,
    nonce: String,
    maker_signature: String,
    proof: String,
}

#[derive(Serialize)]
struct RelayedAsk<'a> {
    device_id: &'a str,
    maker: &'a str,
    maker_key: &'a str,
    nonce: &'a str,
    maker_signature: &'a str,
}

#[derive(Deserialize, Serialize)]
struct MakerBox {
    token_ref: String,
    expires_at: String,
    sealed: Sealed,
}

pub(crate) async fn payload(
    State(provider): State<Shared>,
    SignedBy(session): SignedBy,
    IdempotencyKey(key): IdempotencyKey,
    ApiPath(token): ApiPath,
    ApiJson(request): ApiJson<MakerAsk>,
) -> Result<Answer, Problem> {
    if !(1..=64).contains(&request.maker.chars().count()) {
        return Err(Problem::invalid("maker must have 1 to 64 characters."));
    }
    let maker_key = form::public_key("maker_key", &request.maker_key)?;
    let nonce = form::exact::<16>("nonce", &request.nonce)?;
    form::exact::<64>("maker_signature", &request.maker_signature)?;
    let proof = form::exact::<64>("proof", &request.proof)?;
    let device = owner(&provider, &session, &token).await?;
    let parts: [&[u8]; 4] = [device.id.as_bytes(), token.as_bytes(), &maker_key, &nonce];
    vouched(&device, "tapcore-maker-payload-v1", &parts, &proof)?;
    let scope = format!("{} maker {token}", device.id);
    let fingerprint = fingerprint(&request)?;
    provider
        .answers
        .once(&scope, &key, &fingerprint, || async {
            let relayed = RelayedAsk {
                device_id: &device.id,
                maker: &request.maker,
                maker_key: &request.maker_key,
                nonce: &request.nonce,
                maker_signature: &request.maker_signature,
            };
            let answer: MakerBox = provider
                .network
                .post(
                    &format!("/v1/tokens/{token}/maker-payload"),
                    &relayed,
                    &relayed_key(&device.id, &key),
                    &[400, 403, 404, 409, 410, 422],
                )
                .await?;
            // No card check stands behind it, so its own reference does: no other token takes its place.
            let reference = answer.token_ref.as_str();
            if !provider
                .store
                .add_token(reference, &device.id, reference)
                .await?
            {
                // Wiped while the network was at it: the token goes again, and the phone does not get the box.
                orders::carry_out_now(&provider).await;
                return Err(sessions::wiped());
            }
            provider
                .events
                .tell(Event::new("maker_payload").with("token_ref", reference));
            Answer::json(201, &answer)
        })
        .await
}
