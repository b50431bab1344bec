//! Adding a card: the bank checks the cardholder by SMS, and a token takes the card's place. Afterwards only the mapping
//! token → bank and its card reference is kept.

use sandbox_kit::bind::bind;
use sandbox_kit::bytes;
use sandbox_kit::hpke::Sealed;
use sandbox_kit::keys::public_from_hex;
use sandbox_kit::problem::Problem;
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::issue::Holder;
use crate::number::masked;
use crate::payload::{Provisioning, seal};
use crate::scheme::Scheme;
use crate::{Network, state};

/// A card to be added, as the provider passes it on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryQuery {
    /// The phone.
    pub device_id: String,
    /// Number and expiry, sealed by the phone for the network.
    pub sealed_card: Sealed,
    /// Whose card the phone is to be, by [`Scheme::name`]; UnionPay's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
}

/// The bank has sent an SMS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryChallenge {
    /// Names the entry.
    pub challenge_id: String,
    /// The card's last four digits.
    pub masked: String,
    /// The bank's name.
    pub bank: String,
    /// When the code dies.
    pub sms_expires_at: String,
    /// Tries left.
    pub tries_left: i64,
}

/// The SMS code and the key to seal the answer for; the provider has checked that the key is the device's.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyQuery {
    /// The phone.
    pub device_id: String,
    /// Six digits.
    pub code: String,
    /// The phone's one-time public key, hex.
    pub provisioning_key: String,
}

/// A new token, and its secrets sealed for the phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedToken {
    /// The token's name in APIs.
    pub token_ref: String,
    /// The token number's last four digits.
    pub masked_token: String,
    /// The card number's last four digits.
    pub masked_card: String,
    /// The bank's name.
    pub bank: String,
    /// `bank_card`, `credit` or `prepaid`.
    pub account_type: String,
    /// The token's last day, `YYYY-MM-DD`.
    pub expiry: String,
    /// The provisioning payload.
    pub sealed: Sealed,
}

impl Network {
    /// Opens the card number and asks its bank for an SMS.
    pub async fn begin_entry(&self, query: &EntryQuery) -> Result<EntryChallenge, Problem> {
        let scheme = match &query.scheme {
            Some(name) => Scheme::named(name).ok_or_else(scheme_unknown)?,
            None => Scheme::default(),
        };
        let (card, bank) = self.opened_card(&query.device_id, &query.sealed_card)?;
        let asked = self.ask_for_sms(&card, bank).await?;
        let challenge_id = bytes::random_id("chl");
        sqlx::query("INSERT INTO card_entries (challenge_id, device_id, bank, bank_challenge, masked, account_type, token_ref, scheme) VALUES ($1, $2, $3, $4, $5, $6, '', $7)")
            .bind(challenge_id.as_str())
            .bind(query.device_id.as_str())
            .bind(bank.name.as_str())
            .bind(asked.challenge_id.as_str())
            .bind(asked.masked.as_str())
            .bind(asked.account_type.as_str())
            .bind(scheme.name())
            .execute(self.db().pool())
            .await?;
        Ok(EntryChallenge {
            challenge_id,
            masked: asked.masked,
            bank: bank.name.clone(),
            sms_expires_at: asked.sms_expires_at,
            tries_left: asked.tries_left,
        })
    }

    /// Has the bank check the code and issues the token. When a phone asks again because the answer never reached it,
    /// the token issued before is withdrawn: one entry, one living token.
    pub async fn finish_entry(
        &self,
        challenge_id: &str,
        query: &VerifyQuery,
    ) -> Result<IssuedToken, Problem> {
        let recipient = public_from_hex(&query.provisioning_key)
            .ok_or_else(|| Problem::invalid("provisioning_key is not a P-256 public key."))?;
        let row = sqlx::query("SELECT bank, bank_challenge, masked, account_type, scheme FROM card_entries WHERE challenge_id = $1 AND device_id = $2")
            .bind(challenge_id)
            .bind(query.device_id.as_str())
            .fetch_optional(self.db().pool())
            .await?
            .ok_or_else(challenge_unknown)?;
        let (bank_name, bank_challenge): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let (masked_card, account_type): (String, String) = (row.try_get(2)?, row.try_get(3)?);
        let scheme = stored_scheme(&row, 4)?;
        let card = self
            .code_typed(&bank_name, &bank_challenge, &query.code)
            .await?;

        let minted = self.mint(scheme).await?;
        let mut tx = self.db().begin().await?;
        let earlier: String =
            sqlx::query("SELECT token_ref FROM card_entries WHERE challenge_id = $1")
                .bind(challenge_id)
                .fetch_one(&mut *tx)
                .await?
                .try_get(0)?;
        let state = sqlx::query("SELECT state FROM tokens WHERE token_ref = $1")
            .bind(earlier.as_str())
            .fetch_optional(&mut *tx)
            .await?;
        if let Some(row) = state {
            // The lost answer's token has a fate of its own by now; asking for it again must not undo that.
            state::must_be_active(&row.try_get::<String, _>(0)?)?;
        }
        sqlx::query("UPDATE tokens SET state = 'withdrawn' WHERE token_ref = $1")
            .bind(earlier)
            .execute(&mut *tx)
            .await?;
        let holder = Holder {
            token_ref: bytes::random_id("tok"),
            device_id: query.device_id.clone(),
            home: String::new(),
            bank: bank_name,
            card_ref: card.card_ref,
            masked_card,
            account_type,
        };
        sqlx::query("UPDATE card_entries SET token_ref = $1 WHERE challenge_id = $2")
            .bind(holder.token_ref.as_str())
            .bind(challenge_id)
            .execute(&mut *tx)
            .await?;
        let payload = self.enter_token(&mut tx, minted, &holder).await?;
        let issued = self.sealed_token(payload, challenge_id, &recipient)?;
        tx.commit().await?;
        Ok(issued)
    }

    /// A new token as its holder is given it: `asked_by` is what it was asked for under.
    pub(crate) fn sealed_token(
        &self,
        payload: Provisioning,
        asked_by: &str,
        recipient: &[u8],
    ) -> Result<IssuedToken, Problem> {
        let parts = [
            payload.device_id.as_bytes(),
            asked_by.as_bytes(),
            payload.token_ref.as_bytes(),
        ];
        let aad = bind("provisioning", &parts);
        let sealed = seal(&self.inner.secrets.signing, recipient, &aad, &payload)?;
        Ok(IssuedToken {
            masked_token: masked(&payload.token),
            token_ref: payload.token_ref,
            masked_card: payload.masked_card,
            bank: payload.bank,
            account_type: payload.account_type,
            expiry: payload.expiry,
            sealed,
        })
    }
}

/// The scheme in this column of a row.
pub(crate) fn stored_scheme(row: &AnyRow, column: usize) -> Result<Scheme, Problem> {
    let name: String = row.try_get(column)?;
    Scheme::named(&name).ok_or_else(Problem::internal)
}

fn scheme_unknown() -> Problem {
    Problem::new(
        422,
        "scheme_unknown",
        "Unknown scheme",
        "There is no such payment scheme here. Choose unionpay, visa or mastercard.",
    )
}

fn challenge_unknown() -> Problem {
    Problem::new(
        404,
        "challenge_unknown",
        "Unknown challenge",
        "This device has not begun to add such a card. Add the card again.",
    )
}
