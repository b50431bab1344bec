//! The bank's HTTP API. Every request is signed by the network.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use sandbox_kit::problem::{Problem, fallbacks};
use sandbox_kit::signed::{FixedKeys, Verifier, require};
use sandbox_kit::{ApiJson, ApiPath};

use crate::Bank;
use crate::authorise::{Decision, PaymentQuery, Reversed};
use crate::challenge::{CardQuery, Challenge, CodeTyped, Verified};

impl Bank {
    /// The routes, to be served over TLS.
    pub fn router(&self) -> Router {
        let keys = FixedKeys::one("network", self.config.network_key);
        let routes = Router::new()
            .route("/v1/card-challenges", post(challenge))
            .route("/v1/card-challenges/{id}/verify", post(verify))
            .route("/v1/authorisations", post(authorise))
            .route("/v1/reversals", post(reverse));
        fallbacks(require(routes, Verifier::new(self.db.clone(), keys))).with_state(self.clone())
    }
}

async fn challenge(
    State(bank): State<Bank>,
    ApiJson(query): ApiJson<CardQuery>,
) -> Result<(StatusCode, Json<Challenge>), Problem> {
    Ok((StatusCode::CREATED, Json(bank.challenge(&query).await?)))
}

async fn verify(
    State(bank): State<Bank>,
    ApiPath(id): ApiPath,
    ApiJson(typed): ApiJson<CodeTyped>,
) -> Result<Json<Verified>, Problem> {
    Ok(Json(bank.verify(&id, &typed.code).await?))
}

async fn authorise(
    State(bank): State<Bank>,
    ApiJson(query): ApiJson<PaymentQuery>,
) -> Result<Json<Decision>, Problem> {
    Ok(Json(bank.authorise(&query).await?))
}

async fn reverse(
    State(bank): State<Bank>,
    ApiJson(query): ApiJson<PaymentQuery>,
) -> Result<Json<Reversed>, Problem> {
    Ok(Json(bank.reverse(&query).await?))
}
