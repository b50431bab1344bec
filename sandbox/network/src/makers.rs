//! Cards in the wallet of a phone's maker (in-app provisioning as Apple, Samsung and Xiaomi have it): the app carries
//! boxes between that wallet and the network and can open none of them.
//!
//! 1. The maker's wallet gives the app a one-time key, a nonce and the maker's signature over both
//!    ([`sandbox_kit::maker_wallet`] plays it).
//! 2. The core calls `POST /v1/tokens/{token_ref}/maker-payload` of the provider with these as they are and the device
//!    key's proof over `BIND("tapcore-maker-payload-v1", device_id, token_ref, maker_key bytes, nonce bytes)`. The network
//!    ([`Network::maker_payload`]) checks the maker's word and answers `sealed`, for the maker's key alone, and the
//!    reference that the new token will have. Inside `sealed`, signed by the network: what the wallet shows of the card,
//!    and an [`Activation`] that dies after a quarter of an hour.
//! 3. The core hands `sealed` to the shell, which gives it to the maker's wallet; that shows the activation to the network
//!    (`POST /v1/maker-tokens`, [`Network::maker_token`]) and is given a token that stands for the same card. It is good
//!    for one token, and only while the phone's own pays.
//! 4. From then on the core suspends, resumes and deletes that token by its reference as any other of the device; deleted
//!    before it was fetched, it is never made. Its payments are told under its reference. New keys it asks for elsewhere:
//!    a sandbox's token there lives on its first.

use sandbox_kit::bind::bind;
use sandbox_kit::hpke::{self, Sealed};
use sandbox_kit::keys::{public_from_hex, verify};
use sandbox_kit::maker_wallet::{INFO, box_aad, vouched};
use sandbox_kit::problem::Problem;
use sandbox_kit::{bytes, clock};
use serde::{Deserialize, Serialize};
use sqlx::{Any, Row, Transaction};
use time::Duration;

use crate::entry::{IssuedToken, stored_scheme};
use crate::issue::Holder;
use crate::payload::signed;
use crate::scheme::Scheme;
use crate::{Network, state};

/// How long an activation may take to come back.
const ACTIVATION_LIFE: Duration = Duration::minutes(15);

/// A card for a maker's wallet; the provider has checked that the device asks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MakerQuery {
    /// The phone.
    pub device_id: String,
    /// The maker's name.
    pub maker: String,
    /// The maker's wallet's one-time public key, hex.
    pub maker_key: String,
    /// Its nonce, sixteen bytes, hex.
    pub nonce: String,
    /// The maker's signature over `BIND("tapcore-maker-key-v1", maker, maker_key bytes, nonce bytes)`, hex.
    pub maker_signature: String,
}

/// What the app carries to the maker's wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakerAnswer {
    /// The reference of the token that will live there.
    pub token_ref: String,
    /// Until when the activation inside is taken, RFC 3339.
    pub expires_at: String,
    /// A signed [`MakerPayload`] for the maker's key.
    pub sealed: Sealed,
}

/// What a maker's wallet is told of a card. The card's number is not in it: the network does not keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MakerPayload {
    /// 1.
    pub version: u32,
    /// `maker_wallet`.
    pub kind: String,
    /// The card's last four digits.
    pub masked_card: String,
    /// The bank's name.
    pub bank: String,
    /// `bank_card`, `credit` or `prepaid`.
    pub account_type: String,
    /// Whose card it will be.
    pub scheme: Scheme,
    /// Gets the token.
    pub activation: Activation,
    /// When it was made, RFC 3339.
    pub issued_at: String,
}

/// The network's permission for one token in one maker's wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activation {
    /// Its name.
    pub activation_id: String,
    /// The maker.
    pub maker: String,
    /// The phone's own token, for whose card it is.
    pub token_ref: String,
    /// The phone.
    pub device_id: String,
    /// The maker's wallet's nonce, hex.
    pub nonce: String,
    /// Until when, RFC 3339.
    pub expires_at: String,
    /// The network's signature over all of it, hex.
    pub signature: String,
}

impl Activation {
    fn message(&self) -> Vec<u8> {
        let parts = [
            &self.activation_id,
            &self.maker,
            &self.token_ref,
            &self.device_id,
            &self.nonce,
            &self.expires_at,
        ];
        bind("tapcore-activation-v1", &parts.map(|part| part.as_bytes()))
    }
}

/// A maker's wallet redeems its activation.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MakerActivation {
    /// As the network made it.
    pub activation: Activation,
    /// The key to seal the token for, hex.
    pub provisioning_key: String,
}

impl Network {
    /// Seals card and activation for a maker's wallet.
    pub async fn maker_payload(
        &self,
        token_ref: &str,
        query: &MakerQuery,
    ) -> Result<MakerAnswer, Problem> {
        let recipient = public_from_hex(&query.maker_key)
            .ok_or_else(|| Problem::invalid("maker_key is not a P-256 public key."))?;
        let nonce = bytes::from_hex_exact::<16>(&query.nonce)
            .ok_or_else(|| Problem::invalid("nonce is not 32 hex digits."))?;
        self.must_be_vouched(query, &recipient, &nonce)?;
        let mut tx = self.db().begin().await?;
        let row = sqlx::query("SELECT state, masked_card, bank, account_type, scheme FROM tokens WHERE token_ref = $1 AND device_id = $2 AND home = ''")
            .bind(token_ref)
            .bind(query.device_id.as_str())
            .fetch_optional(&mut *tx)
            .await?
            .ok_or_else(state::unknown)?;
        state::must_be_active(&row.try_get::<String, _>(0)?)?;

        let maker_token_ref = bytes::random_id("tok");
        let mut activation = Activation {
            activation_id: bytes::random_id("act"),
            maker: query.maker.clone(),
            token_ref: token_ref.to_owned(),
            device_id: query.device_id.clone(),
            nonce: bytes::to_hex(&nonce),
            expires_at: clock::text(self.now() + ACTIVATION_LIFE),
            signature: String::new(),
        };
        let signing = &self.inner.secrets.signing;
        activation.signature = bytes::to_hex(&signing.sign(&activation.message()));
        // One word of the maker is good for one token.
        let asked = format!("{} {}", query.maker, activation.nonce);
        let first = sqlx::query("INSERT INTO maker_activations (activation_id, token_ref, maker_token_ref, used, asked) VALUES ($1, $2, $3, 0, $4) ON CONFLICT DO NOTHING")
            .bind(activation.activation_id.as_str())
            .bind(token_ref)
            .bind(maker_token_ref.as_str())
            .bind(asked)
            .execute(&mut *tx)
            .await?;
        if first.rows_affected() == 0 {
            return Err(Problem::new(
                409,
                "maker_question_used",
                "Question asked before",
                "The maker's wallet was answered under this nonce before. Begin again in its wallet.",
            ));
        }
        let expires_at = activation.expires_at.clone();
        let payload = MakerPayload {
            version: 1,
            kind: "maker_wallet".into(),
            masked_card: row.try_get(1)?,
            bank: row.try_get(2)?,
            account_type: row.try_get(3)?,
            scheme: stored_scheme(&row, 4)?,
            activation,
            issued_at: clock::text(self.now()),
        };
        let aad = box_aad(&query.maker, &nonce);
        let sealed = hpke::seal(&recipient, INFO, &aad, &signed(signing, &payload)?)
            .map_err(|_| Problem::invalid("maker_key is not a P-256 public key."))?;
        tx.commit().await?;
        Ok(MakerAnswer {
            token_ref: maker_token_ref,
            expires_at,
            sealed,
        })
    }

    /// Redeems an activation: a token that lives in the maker's wallet and stands for the card of the phone's.
    pub async fn maker_token(
        &self,
        maker: &str,
        query: &MakerActivation,
    ) -> Result<IssuedToken, Problem> {
        let recipient = public_from_hex(&query.provisioning_key)
            .ok_or_else(|| Problem::invalid("provisioning_key is not a P-256 public key."))?;
        let activation = &query.activation;
        let signature = bytes::from_hex(&activation.signature).unwrap_or_default();
        if activation.maker != maker
            || !verify(&self.signing_key(), &activation.message(), &signature)
        {
            return Err(activation_invalid());
        }
        let scheme = self.scheme_behind(&activation.token_ref).await?;
        // Before the transaction, since it takes a moment.
        let minted = self.mint(scheme).await?;
        let mut tx = self.db().begin().await?;
        let row = sqlx::query("SELECT a.maker_token_ref, t.state, t.bank, t.card_ref, t.masked_card, t.account_type, a.state FROM maker_activations a JOIN tokens t ON t.token_ref = a.token_ref WHERE a.activation_id = $1")
            .bind(activation.activation_id.as_str())
            .fetch_optional(&mut *tx)
            .await?
            .ok_or_else(activation_invalid)?;
        if clock::text(self.now()) > activation.expires_at {
            return Err(activation_expired());
        }
        state::must_be_active(&row.try_get::<String, _>(1)?)?;
        let used = sqlx::query(
            "UPDATE maker_activations SET used = 1 WHERE activation_id = $1 AND used = 0",
        )
        .bind(activation.activation_id.as_str())
        .execute(&mut *tx)
        .await?;
        if used.rows_affected() == 0 {
            return Err(activation_used());
        }
        let holder = Holder {
            token_ref: row.try_get(0)?,
            device_id: activation.device_id.clone(),
            home: maker.to_owned(),
            bank: row.try_get(2)?,
            card_ref: row.try_get(3)?,
            masked_card: row.try_get(4)?,
            account_type: row.try_get(5)?,
        };
        let payload = self.enter_token(&mut tx, minted, &holder).await?;
        // The person may have held it back before it was fetched.
        sqlx::query("UPDATE tokens SET state = $1 WHERE token_ref = $2")
            .bind(row.try_get::<String, _>(6)?)
            .bind(holder.token_ref.as_str())
            .execute(&mut *tx)
            .await?;
        let issued = self.sealed_token(payload, &activation.activation_id, &recipient)?;
        tx.commit().await?;
        Ok(issued)
    }

    /// Refuses a one-time key for which no maker gave its word.
    fn must_be_vouched(
        &self,
        query: &MakerQuery,
        recipient: &[u8],
        nonce: &[u8],
    ) -> Result<(), Problem> {
        let mut makers = self.inner.config.makers.iter();
        let maker = makers
            .find(|maker| maker.name == query.maker)
            .ok_or_else(|| {
                Problem::new(
                    404,
                    "maker_unknown",
                    "Unknown maker",
                    "The network knows no maker of this name. Add the card to the phone's own wallet only.",
                )
            })?;
        let signature = bytes::from_hex(&query.maker_signature).unwrap_or_default();
        let message = vouched(&query.maker, recipient, nonce);
        if verify(&maker.key, &message, &signature) {
            return Ok(());
        }
        Err(Problem::new(
            403,
            "maker_key_unvouched",
            "Key not vouched for",
            "The maker has not signed this key and nonce. Begin again in its wallet.",
        ))
    }

    async fn scheme_behind(&self, token_ref: &str) -> Result<Scheme, Problem> {
        let row = sqlx::query("SELECT scheme FROM tokens WHERE token_ref = $1")
            .bind(token_ref)
            .fetch_optional(self.db().pool())
            .await?
            .ok_or_else(activation_invalid)?;
        stored_scheme(&row, 0)
    }
}

/// Orders the state of a token that its maker's wallet has not fetched yet: it is made in that state, or never. `false`
/// when this device has no activation that would make it.
pub(crate) async fn order(
    tx: &mut Transaction<'static, Any>,
    maker_token_ref: &str,
    device_id: &str,
    wanted: state::TokenState,
) -> Result<bool, Problem> {
    let used = i64::from(wanted == state::TokenState::Deleted);
    let ordered = sqlx::query("UPDATE maker_activations SET state = $1, used = $2 WHERE (used = 0 OR state = $1) AND maker_token_ref = $3 AND token_ref IN (SELECT token_ref FROM tokens WHERE device_id = $4)")
        .bind(wanted.name())
        .bind(used)
        .bind(maker_token_ref)
        .bind(device_id)
        .execute(&mut **tx)
        .await?;
    Ok(ordered.rows_affected() > 0)
}

fn activation_invalid() -> Problem {
    Problem::new(
        403,
        "activation_invalid",
        "Activation not accepted",
        "The network has not given this activation to this maker. Add the card again.",
    )
}

fn activation_expired() -> Problem {
    Problem::new(
        410,
        "activation_expired",
        "Activation expired",
        "The activation is older than fifteen minutes. Add the card again.",
    )
}

fn activation_used() -> Problem {
    Problem::new(
        409,
        "activation_used",
        "Activation used before",
        "The activation has made its token. Add the card again for another one.",
    )
}
