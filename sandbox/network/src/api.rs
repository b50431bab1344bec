//! The network's HTTP API. The provider, the acquirer and makers of phones sign their requests, each may use only its own
//! routes; public keys are there for anybody.

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use sandbox_kit::idempotency::{Answer, IdempotencyKey};
use sandbox_kit::problem::{Problem, fallbacks};
use sandbox_kit::signed::{FixedKeys, SignedBy, Verifier, require};
use sandbox_kit::{ApiJson, ApiPath};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Network;
use crate::authorise::{Authorisation, AuthorisationQuery};
use crate::check::{CheckCode, CheckQuery};
use crate::entry::{EntryQuery, VerifyQuery};
use crate::makers::{MakerActivation, MakerQuery};
use crate::merchants::{MerchantEntered, MerchantEntry, MerchantQuery};
use crate::on_file::{OnFileQuery, ReversalQuery};
use crate::replenish::ReplenishQuery;
use crate::state::StateQuery;

impl Network {
    /// The routes, to be served over TLS.
    pub fn router(&self) -> Router {
        let config = &self.inner.config;
        let provider = FixedKeys::one("provider", config.provider_key);
        let acquirer = FixedKeys::one(config.acquirer_id.as_str(), config.acquirer_key);
        let for_provider = Router::new()
            .route("/v1/card-entries", post(begin_entry))
            .route("/v1/card-entries/{id}/verify", post(finish_entry))
            .route("/v1/card-checks", post(begin_check))
            .route("/v1/card-checks/{id}/verify", post(finish_check))
            .route("/v1/tokens/{token_ref}/replenish", post(replenish))
            .route("/v1/tokens/{token_ref}/state", post(set_state))
            .route("/v1/tokens/{token_ref}/maker-payload", post(maker_payload))
            .route("/v1/on-file-payments", post(pay_on_file))
            .route("/v1/on-file-reversals", post(reverse_on_file))
            .route("/v1/merchant-lookups", post(look_up_merchant));
        let makers = config.makers.iter();
        let makers = FixedKeys(
            makers
                .map(|maker| (maker.name.clone(), maker.key))
                .collect(),
        );
        let for_makers = Router::new().route("/v1/maker-tokens", post(maker_token));
        let for_acquirer = Router::new()
            .route("/v1/authorisations", post(authorise))
            .route("/v1/merchants", post(enter_merchant));
        let for_all = Router::new()
            .route("/v1/keys", get(keys))
            .route("/v1/ca-keys", get(ca_keys));
        let routes = require(for_provider, Verifier::new(self.db().clone(), provider))
            .merge(require(
                for_acquirer,
                Verifier::new(self.db().clone(), acquirer),
            ))
            .merge(require(
                for_makers,
                Verifier::new(self.db().clone(), makers),
            ))
            .merge(for_all);
        fallbacks(routes).with_state(self.clone())
    }

    /// Answers a repeated request as the first time.
    async fn once<T: Serialize, R: Serialize>(
        &self,
        scope: &str,
        key: IdempotencyKey,
        body: &T,
        work: impl Future<Output = Result<R, Problem>>,
    ) -> Result<Answer, Problem> {
        self.once_as(201, scope, key, body, work).await
    }

    /// The same with another status of the answer.
    async fn once_as<T: Serialize, R: Serialize>(
        &self,
        status: u16,
        scope: &str,
        key: IdempotencyKey,
        body: &T,
        work: impl Future<Output = Result<R, Problem>>,
    ) -> Result<Answer, Problem> {
        let request = serde_json::to_vec(body).map_err(|_| Problem::internal())?;
        let answer = || async { Answer::json(status, &work.await?) };
        self.inner
            .answers
            .once(scope, &key.0, &request, answer)
            .await
    }
}

async fn keys(State(network): State<Network>) -> Json<Value> {
    let (signing, hpke) = (network.signing_key(), network.hpke_key());
    Json(json!({"signing_key": hex::encode_upper(signing), "hpke_key": hex::encode_upper(hpke)}))
}

async fn ca_keys(State(network): State<Network>) -> Json<Value> {
    Json(json!({"ca_keys": network.ca_keys()}))
}

async fn begin_entry(
    State(network): State<Network>,
    key: IdempotencyKey,
    ApiJson(query): ApiJson<EntryQuery>,
) -> Result<Answer, Problem> {
    network
        .once("card-entries", key, &query, network.begin_entry(&query))
        .await
}

async fn finish_entry(
    State(network): State<Network>,
    ApiPath(id): ApiPath,
    key: IdempotencyKey,
    ApiJson(query): ApiJson<VerifyQuery>,
) -> Result<Answer, Problem> {
    let scope = format!("card-entries/{id}");
    network
        .once(&scope, key, &query, network.finish_entry(&id, &query))
        .await
}

async fn begin_check(
    State(network): State<Network>,
    key: IdempotencyKey,
    ApiJson(query): ApiJson<CheckQuery>,
) -> Result<Answer, Problem> {
    network
        .once("card-checks", key, &query, network.begin_check(&query))
        .await
}

async fn finish_check(
    State(network): State<Network>,
    ApiPath(id): ApiPath,
    key: IdempotencyKey,
    ApiJson(query): ApiJson<CheckCode>,
) -> Result<Answer, Problem> {
    let scope = format!("card-checks/{id}");
    network
        .once(&scope, key, &query, network.finish_check(&id, &query))
        .await
}

async fn replenish(
    State(network): State<Network>,
    ApiPath(token_ref): ApiPath,
    key: IdempotencyKey,
    ApiJson(query): ApiJson<ReplenishQuery>,
) -> Result<Answer, Problem> {
    let scope = format!("tokens/{token_ref}");
    network
        .once(&scope, key, &query, network.replenish(&token_ref, &query))
        .await
}

async fn set_state(
    State(network): State<Network>,
    ApiPath(token_ref): ApiPath,
    key: IdempotencyKey,
    ApiJson(query): ApiJson<StateQuery>,
) -> Result<Answer, Problem> {
    let scope = format!("tokens/{token_ref}/state");
    let work = network.set_state(&token_ref, &query);
    network.once_as(200, &scope, key, &query, work).await
}

async fn maker_payload(
    State(network): State<Network>,
    ApiPath(token_ref): ApiPath,
    key: IdempotencyKey,
    ApiJson(query): ApiJson<MakerQuery>,
) -> Result<Answer, Problem> {
    let scope = format!("tokens/{token_ref}/maker-payload");
    let work = network.maker_payload(&token_ref, &query);
    network.once(&scope, key, &query, work).await
}

async fn maker_token(
    State(network): State<Network>,
    SignedBy(maker): SignedBy,
    key: IdempotencyKey,
    ApiJson(query): ApiJson<MakerActivation>,
) -> Result<Answer, Problem> {
    let scope = format!("maker-tokens/{maker}");
    let work = network.maker_token(&maker, &query);
    network.once(&scope, key, &query, work).await
}

async fn authorise(
    State(network): State<Network>,
    SignedBy(acquirer): SignedBy,
    ApiJson(query): ApiJson<AuthorisationQuery>,
) -> Result<Json<Authorisation>, Problem> {
    if query.acquirer_id != acquirer {
        return Err(Problem::invalid(
            "acquirer_id is not the acquirer that signed.",
        ));
    }
    Ok(Json(network.authorise(&query).await?))
}

async fn enter_merchant(
    State(network): State<Network>,
    SignedBy(acquirer): SignedBy,
    ApiJson(entry): ApiJson<MerchantEntry>,
) -> Result<Json<MerchantEntered>, Problem> {
    Ok(Json(network.enter_merchant(&acquirer, &entry).await?))
}

async fn look_up_merchant(
    State(network): State<Network>,
    ApiJson(query): ApiJson<MerchantQuery>,
) -> Result<Json<MerchantEntry>, Problem> {
    Ok(Json(network.look_up_merchant(&query).await?))
}

async fn pay_on_file(
    State(network): State<Network>,
    ApiJson(query): ApiJson<OnFileQuery>,
) -> Result<Json<Authorisation>, Problem> {
    Ok(Json(network.authorise_on_file(&query).await?))
}

async fn reverse_on_file(
    State(network): State<Network>,
    ApiJson(query): ApiJson<ReversalQuery>,
) -> Result<Json<Authorisation>, Problem> {
    Ok(Json(network.reverse_on_file(&query).await?))
}
