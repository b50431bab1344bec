//! Issuing: token numbers, limited-use keys, the card's RSA key with its certificate. Numbers and key indexes are
//! reserved in the database, in the caller's transaction; the keys themselves are derived and never stored.

use rand_core::{OsRng, RngCore};
use sandbox_kit::problem::Problem;
use sandbox_kit::{bytes, clock};
use sqlx::{Any, Row, Transaction};
use time::{Date, Duration, Month};

use crate::Network;
use crate::certificate::{CARD_BITS, RsaKey, certify_card};
use crate::derive::{MasterKeyOption, TdesKey, limited_use_key, master_key};
use crate::limits::KeyClass;
use crate::number::{key_period, random_token};
use crate::payload::{IssuedKey, OdaKey, Provisioning};
use crate::profile::card::{CardData, mmyy};
use crate::profile::{Certificates, Profile};
use crate::scheme::Scheme;

/// How many keys of a class a phone is given at a time.
const KEYS: usize = 3;
/// How many payments a key makes.
const KEY_USES: i64 = 10;
/// How long a key lives.
const KEY_LIFETIME: Duration = Duration::days(30);
/// Keys of one token and hour of the year: the counter has two digits.
const KEYS_PER_HOUR: i64 = 100;
/// How many years a token lives, to the end of the last of them.
const TOKEN_YEARS: i32 = 3;
/// Every token's sequence number.
pub(crate) const PSN: &str = "01";

/// A token before it is in the database.
pub(crate) struct Minted {
    pub(crate) token: String,
    pub(crate) expiry: Date,
    pub(crate) profile: Profile,
    pub(crate) oda_key: OdaKey,
}

/// Whose a new token is, and which card it stands for.
pub(crate) struct Holder {
    pub(crate) token_ref: String,
    /// The phone that orders its states.
    pub(crate) device_id: String,
    /// The maker's wallet that it lives in; empty when that is the phone's own.
    pub(crate) home: String,
    pub(crate) bank: String,
    pub(crate) card_ref: String,
    pub(crate) masked_card: String,
    pub(crate) account_type: String,
}

impl Network {
    /// A token number nobody has, with profile, RSA key and certificate. The number is free when this returns; the
    /// database's unique column guards the moment after.
    pub(crate) async fn mint(&self, scheme: Scheme) -> Result<Minted, Problem> {
        let token = self.free_token(scheme).await?;
        let today = self.now().date();
        let expiry = Date::from_calendar_date(today.year() + TOKEN_YEARS, Month::December, 31)
            .map_err(|_| Problem::internal())?;
        let network = self.clone();
        let minted = tokio::task::spawn_blocking(move || -> anyhow::Result<Minted> {
            let card = CardData {
                token: &token,
                psn: PSN,
                expiry,
                effective: today,
            };
            let key = RsaKey::generate(CARD_BITS)?;
            let mut serial = [0; 3];
            OsRng.fill_bytes(&mut serial);
            let secrets = &network.inner.secrets;
            let certificate = certify_card(
                &secrets.issuer,
                &key,
                &token,
                mmyy(expiry)?,
                serial,
                &scheme.static_data(&card)?,
            )?;
            let certificates = Certificates {
                issuer: secrets.issuer_certificate(scheme),
                card: &certificate,
            };
            let profile = scheme.profile(&card, certificates)?;
            let (prime1, prime2) = key.primes()?;
            let oda_key = OdaKey {
                modulus: hex::encode_upper(key.modulus()),
                exponent: hex::encode_upper(key.exponent()),
                prime1: hex::encode_upper(prime1),
                prime2: hex::encode_upper(prime2),
            };
            Ok(Minted {
                token,
                expiry,
                profile,
                oda_key,
            })
        });
        Ok(minted.await.map_err(|_| Problem::internal())??)
    }

    async fn free_token(&self, scheme: Scheme) -> Result<String, Problem> {
        loop {
            let token = random_token(scheme);
            let taken = sqlx::query("SELECT 1 FROM tokens WHERE token = $1")
                .bind(token.as_str())
                .fetch_optional(self.db().pool())
                .await?;
            if taken.is_none() {
                return Ok(token);
            }
        }
    }

    /// Writes a new token down and gives it its first keys.
    pub(crate) async fn enter_token(
        &self,
        tx: &mut Transaction<'static, Any>,
        minted: Minted,
        holder: &Holder,
    ) -> Result<Provisioning, Problem> {
        let log_key = bytes::to_hex(&bytes::random::<32>());
        let (expiry, issued_at) = (minted.expiry.to_string(), clock::text(self.now()));
        sqlx::query("INSERT INTO tokens (token_ref, token, psn, expiry, device_id, bank, card_ref, masked_card, account_type, state, log_key, issued_at, scheme, home) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'active', $10, $11, $12, $13)")
            .bind(holder.token_ref.as_str())
            .bind(minted.token.as_str())
            .bind(PSN)
            .bind(expiry.as_str())
            .bind(holder.device_id.as_str())
            .bind(holder.bank.as_str())
            .bind(holder.card_ref.as_str())
            .bind(holder.masked_card.as_str())
            .bind(holder.account_type.as_str())
            .bind(log_key.as_str())
            .bind(issued_at.as_str())
            .bind(minted.profile.scheme.name())
            .bind(holder.home.as_str())
            .execute(&mut **tx)
            .await?;
        let keys = self
            .issue_keys(tx, &holder.token_ref, &minted.token, &[KeyClass::Plain])
            .await?;
        Ok(Provisioning {
            version: 1,
            kind: "provisioning".into(),
            token_ref: holder.token_ref.clone(),
            device_id: holder.device_id.clone(),
            token: minted.token,
            psn: PSN.into(),
            expiry,
            masked_card: holder.masked_card.clone(),
            bank: holder.bank.clone(),
            account_type: holder.account_type.clone(),
            profile: minted.profile,
            oda_key: Some(minted.oda_key),
            keys,
            log_key,
            first_atc: 1,
            issued_at,
        })
    }

    /// The token's master key, from which its limited-use keys come.
    pub(crate) fn token_master_key(&self, token: &str, psn: &str) -> anyhow::Result<TdesKey> {
        Ok(master_key(
            &self.inner.secrets.imk,
            token,
            psn,
            MasterKeyOption::A,
        )?)
    }

    /// Reserves and derives the next keys of a token, so many of each class. 429 when the hour's counter is used up.
    pub(crate) async fn issue_keys(
        &self,
        tx: &mut Transaction<'static, Any>,
        token_ref: &str,
        token: &str,
        classes: &[KeyClass],
    ) -> Result<Vec<IssuedKey>, Problem> {
        let period = key_period(self.now());
        let issued: i64 = sqlx::query(
            "SELECT COUNT(*) FROM limited_keys WHERE token_ref = $1 AND key_index LIKE $2",
        )
        .bind(token_ref)
        .bind(format!("{period}%"))
        .fetch_one(&mut **tx)
        .await?
        .try_get(0)?;
        let master = self.token_master_key(token, PSN)?;
        let not_after = clock::text(self.now() + KEY_LIFETIME);
        let limits = &self.inner.config.key_limits;
        let wanted: Vec<KeyClass> = classes.iter().flat_map(|class| [*class; KEYS]).collect();
        let mut keys = Vec::with_capacity(wanted.len());
        for (counter, class) in (issued..KEYS_PER_HOUR).zip(wanted) {
            let key_index = format!("{period}{counter:02}");
            sqlx::query("INSERT INTO limited_keys (token_ref, key_index, not_after, uses, used, class, currency, single_minor, total_minor, foreign_uses, spent_minor, foreign_used) VALUES ($1, $2, $3, $4, 0, $5, $6, $7, $8, $9, 0, 0)")
                .bind(token_ref)
                .bind(key_index.as_str())
                .bind(not_after.as_str())
                .bind(KEY_USES)
                .bind(class.name())
                .bind(limits.currency.as_str())
                .bind(limits.single_minor)
                .bind(limits.total_minor)
                .bind(limits.foreign_uses)
                .execute(&mut **tx)
                .await?;
            let key = limited_use_key(&master, &key_index).map_err(anyhow::Error::from)?;
            keys.push(IssuedKey {
                key_index,
                key: hex::encode_upper(key),
                not_after: not_after.clone(),
                uses: KEY_USES,
                verified: class == KeyClass::Verified,
                limits: limits.clone(),
            });
        }
        if keys.is_empty() {
            return Err(Problem::new(
                429,
                "keys_used_up",
                "Too many keys this hour",
                "This token was given as many keys as an hour allows. Try again in the next hour.",
            ));
        }
        Ok(keys)
    }
}
