//! What phones ask: fresh aliases, the end of aliases that were closed or seen, and the person's word on a payment.

use axum::extract::State;
use sandbox_kit::bind::bind;
use sandbox_kit::hpke::{self, Sealed};
use sandbox_kit::idempotency::{Answer, IdempotencyKey};
use sandbox_kit::problem::Problem;
use sandbox_kit::signed::SignedBy;
use sandbox_kit::{ApiJson, ApiPath, bytes, clock};
use serde::{Deserialize, Serialize};
use sqlx::Row;

use super::aliases::{self, Asked, Fresh, Issued, Work};
use super::payments::{self, Ending, Payment, State as Stage};
use super::rules::{Class, day};
use super::seeds::{Seed, Seeds};
use super::settle::finished;
use super::watch::Told;
use crate::cards::{fingerprint, vouched};
use crate::password::not_confirmed;
use crate::store::Device;
use crate::{Inner, Shared, form, sessions};

/// HPKE `info` of a batch.
const INFO: &[u8] = b"tapcore codes v1";
/// The most aliases that are named at once.
const MOST_NAMED: usize = 200;
const MOST_ACCOUNTS: usize = 50;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    /// The aliases that the phone holds, shown or not. Its others end here.
    have: Vec<String>,
    /// The accounts it wants codes for, the most used first.
    token_refs: Vec<String>,
    provisioning_key: String,
    proof: String,
}

/// What is sealed for the phone. The provider's signature is not under it: whoever made one up would seal aliases and a
/// seed that nobody takes.
#[derive(Serialize)]
struct Payload<'a> {
    version: u32,
    kind: &'a str,
    device_id: &'a str,
    /// In every batch, so that a phone that lost the first answer is not lost itself.
    seed: &'a str,
    aliases: Vec<Given>,
    /// Those of `have` that pay no more.
    dead: Vec<String>,
    issued_at: String,
}

#[derive(Serialize)]
struct Given {
    alias: String,
    token_ref: String,
    not_after: String,
}

#[derive(Serialize)]
struct Answered {
    sealed: Sealed,
    issued: usize,
    server_time: String,
}

pub(super) async fn aliases(
    State(provider): State<Shared>,
    SignedBy(session): SignedBy,
    IdempotencyKey(key): IdempotencyKey,
    ApiJson(request): ApiJson<Batch>,
) -> Result<Answer, Problem> {
    named(&request.have)?;
    let accounts = (1..=MOST_ACCOUNTS).contains(&request.token_refs.len());
    if !accounts
        || !request
            .token_refs
            .iter()
            .all(|token| form::is_id("tok_", token))
    {
        return Err(Problem::invalid(format!(
            "token_refs must be 1 to {MOST_ACCOUNTS} tokens of this device."
        )));
    }
    let recipient = form::public_key("provisioning_key", &request.provisioning_key)?;
    let proof = form::exact::<64>("proof", &request.proof)?;
    let device = provider.store.device_of_session(&session).await?;
    let parts: [&[u8]; 2] = [device.id.as_bytes(), &recipient];
    vouched(&device, "tapcore-code-aliases-v1", &parts, &proof)?;
    let scope = format!("{} code-aliases", device.id);
    provider
        .answers
        .once(&scope, &key, &fingerprint(&request)?, || async {
            let (seed, fresh, dead) = issue(&provider, &device, &request).await?;
            let seed = zeroize::Zeroizing::new(bytes::to_hex(seed.as_slice()));
            let issued = fresh.len();
            let payload = Payload {
                version: 1,
                kind: "code_aliases",
                device_id: &device.id,
                seed: &seed,
                aliases: fresh.into_iter().map(Given::from).collect(),
                dead,
                issued_at: clock::now_text(),
            };
            let text = serde_json::to_vec(&payload).map_err(|_| Problem::internal())?;
            let text = zeroize::Zeroizing::new(text);
            let aad = bind("code-aliases", &[device.id.as_bytes(), key.as_bytes()]);
            let sealed = hpke::seal(&recipient, INFO, &aad, &text)
                .map_err(|_| Problem::invalid("provisioning_key is not a P-256 public key."))?;
            Answer::json(
                201,
                &Answered {
                    sealed,
                    issued,
                    server_time: clock::now_text(),
                },
            )
        })
        .await
}

impl From<Fresh> for Given {
    fn from(fresh: Fresh) -> Self {
        Self {
            alias: fresh.alias,
            token_ref: fresh.token_ref,
            not_after: clock::unix_text(fresh.not_after),
        }
    }
}

/// Draws what is wanted, in one transaction with what ends.
async fn issue(
    provider: &Inner,
    device: &Device,
    request: &Batch,
) -> Result<(Seed, Vec<Fresh>, Vec<String>), Problem> {
    let policy = provider.policy().await?.codes;
    let codes = &provider.codes;
    let asked = Asked {
        device: &device.id,
        have: &request.have,
        accounts: &request.token_refs,
    };
    let mut work = provider.store.db().begin().await?;
    let now = clock::unix_now();
    let issued = aliases::issue(&mut work, &policy, &codes.rules, &asked, now).await?;
    let seed = match issued {
        Issued::Batch(..) => Some(seed_of(&mut work, &codes.seeds, &device.id).await?),
        _ => None,
    };
    // A phone that is given none has told all the same what it holds no more.
    work.commit().await?;
    codes.changed();
    match issued {
        Issued::Batch(fresh, dead) => Ok((seed.ok_or_else(Problem::internal)?, fresh, dead)),
        Issued::NoAccount => Err(Problem::new(
            409,
            "account_not_active",
            "No active account",
            "None of these tokens is an active one of this device. Resume one or add a card.",
        )),
        Issued::Full => Err(Problem::new(
            429,
            "code_space_full",
            "No codes to give",
            "As many codes are out as are safe to be. Ask again later, with a fresh Idempotency-Key.",
        )),
        Issued::TooOften => Err(Problem::new(
            429,
            "codes_too_often",
            "Too many codes",
            "This phone was given as many codes as it may have in a day. Ask again in some hours, with a fresh Idempotency-Key.",
        )),
        Issued::Wiped => Err(sessions::wiped()),
    }
}

/// The device's seed, drawn the first time.
async fn seed_of(work: &mut Work, seeds: &Seeds, device: &str) -> Result<Seed, Problem> {
    let row = sqlx::query("SELECT sealed FROM code_seeds WHERE device_id = $1")
        .bind(device)
        .fetch_optional(&mut **work)
        .await?;
    if let Some(row) = row {
        let kept: Vec<u8> = row.try_get(0)?;
        return seeds.open_row(device, &kept).ok_or_else(Problem::internal);
    }
    let (seed, kept) = seeds.draw(device)?;
    sqlx::query("INSERT INTO code_seeds (device_id, sealed, at) VALUES ($1, $2, $3)")
        .bind(device)
        .bind(kept)
        .bind(clock::now_text())
        .execute(&mut **work)
        .await?;
    Ok(seed)
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Voiding {
    aliases: Vec<Ended>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Ended {
    alias: String,
    why: Why,
}

/// Why the phone shows an alias no more.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Why {
    /// The view was closed.
    Closed,
    /// Its digits were uncovered.
    Revealed,
    /// The screen was photographed by the system.
    Screenshot,
}

impl Why {
    fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Revealed => "revealed",
            Self::Screenshot => "screenshot",
        }
    }
}

#[derive(Serialize)]
struct Voided {
    aliases: Vec<NowIs>,
}

#[derive(Serialize)]
struct NowIs {
    alias: String,
    state: String,
}

/// Ends aliases at once. Others than this device's are answered as unknown; one that was used before stays used.
pub(super) async fn void(
    State(provider): State<Shared>,
    SignedBy(session): SignedBy,
    IdempotencyKey(key): IdempotencyKey,
    ApiJson(request): ApiJson<Voiding>,
) -> Result<Answer, Problem> {
    let names: Vec<String> = request
        .aliases
        .iter()
        .map(|ended| ended.alias.clone())
        .collect();
    named(&names)?;
    let device = provider.store.device_of_session(&session).await?;
    let scope = format!("{} code-void", device.id);
    provider
        .answers
        .once(&scope, &key, &fingerprint(&request)?, || async {
            let (rules, now) = (&provider.codes.rules, clock::unix_now());
            let mut work = provider.store.db().begin().await?;
            let mut voided = Vec::new();
            for Ended { alias, why } in &request.aliases {
                let row = sqlx::query(
                    "SELECT state FROM code_aliases WHERE alias = $1 AND device_id = $2",
                )
                .bind(alias.as_str())
                .bind(device.id.as_str())
                .fetch_optional(&mut *work)
                .await?;
                let was: Option<String> = row.map(|row| row.try_get(0)).transpose()?;
                let ended = was.as_deref() == Some("live")
                    && aliases::end(&mut work, rules, alias, "void", why.name(), now).await?;
                let state = match was {
                    None => "unknown".to_owned(),
                    Some(_) if ended => "void".to_owned(),
                    Some(was) => was,
                };
                voided.push(NowIs {
                    alias: alias.clone(),
                    state,
                });
            }
            work.commit().await?;
            provider.codes.changed();
            Answer::json(200, &Voided { aliases: voided })
        })
        .await
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Word {
    confirmation_id: String,
}

/// Pays what waited for the person, with a confirmation made before for this amount, this merchant as the payee and this
/// request's own Idempotency-Key. One that waits no more is answered how it stands.
pub(super) async fn confirm(
    State(provider): State<Shared>,
    SignedBy(session): SignedBy,
    IdempotencyKey(key): IdempotencyKey,
    ApiPath(payment): ApiPath,
    ApiJson(word): ApiJson<Word>,
) -> Result<Answer, Problem> {
    let device = provider.store.device_of_session(&session).await?;
    let scope = format!("{} code-confirm {payment}", device.id);
    provider
        .answers
        .once(&scope, &key, &fingerprint(&word)?, || async {
            let mut work = provider.store.db().begin().await?;
            let (now, at) = (clock::unix_now(), clock::now_text());
            payments::expire(&mut work, now, &at).await?;
            let known = payments::by_id(&mut work, &payment).await?;
            let known = known
                .filter(|payment| payment.device == device.id)
                .ok_or_else(unknown)?;
            if known.state == Stage::Wanted {
                let class =
                    take_confirmation(&mut work, &device, &known, &word.confirmation_id, &key)
                        .await?
                        .ok_or_else(not_confirmed)?;
                start(&provider, &mut work, &known, class, (now, at.as_str())).await?;
            }
            let known = payments::by_id(&mut work, &payment).await?;
            work.commit().await?;
            provider.codes.changed();
            let paid = finished(&provider, known.ok_or_else(Problem::internal)?).await?;
            Answer::json(200, &Told::of(&paid))
        })
        .await
}

/// Starts the payment in its class of verification, or declines it where that class allows no more today.
async fn start(
    provider: &Inner,
    work: &mut Work,
    payment: &Payment,
    class: Class,
    (now, at): (i64, &str),
) -> Result<(), Problem> {
    let spent = payments::spent(work, &payment.user, day(now)).await?;
    let rules = &provider.codes.rules;
    if rules.exceeds(class, spent.of(class), payment.amount_minor) {
        let steps = (Stage::Wanted, Stage::Declined);
        let ending = Ending::because("daily_limit");
        payments::end(work, &payment.payment_id, steps, &ending, at).await?;
    } else {
        payments::start(work, &payment.payment_id, class, now).await?;
    }
    Ok(())
}

/// Uses a confirmation up, if it is this device's for exactly this payment.
async fn take_confirmation(
    work: &mut Work,
    device: &Device,
    payment: &Payment,
    confirmation: &str,
    key: &str,
) -> Result<Option<Class>, sqlx::Error> {
    let row = sqlx::query("SELECT method FROM confirmations WHERE confirmation_id = $1 AND user_id = $2 AND device_id = $3 AND amount_minor = $4 AND currency = $5 AND payee = $6 AND idempotency_key = $7 AND expires_at > $8")
        .bind(confirmation)
        .bind(device.user.as_str())
        .bind(device.id.as_str())
        .bind(payment.amount_minor)
        .bind(payment.currency.as_str())
        .bind(payment.merchant.as_str())
        .bind(key)
        .bind(clock::unix_now())
        .fetch_optional(&mut **work)
        .await?;
    let Some(row) = row else { return Ok(None) };
    sqlx::query("DELETE FROM confirmations WHERE confirmation_id = $1")
        .bind(confirmation)
        .execute(&mut **work)
        .await?;
    Ok(Some(Class::of_method(&row.try_get::<String, _>(0)?)))
}

fn named(aliases: &[String]) -> Result<(), Problem> {
    if aliases.len() <= MOST_NAMED && aliases.iter().all(|alias| is_alias(alias)) {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "At most {MOST_NAMED} aliases may be named, each of 8 to 16 digits."
    )))
}

/// Whether `text` has the form of an alias, of whatever policy it was drawn under.
pub(super) fn is_alias(text: &str) -> bool {
    (8..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn unknown() -> Problem {
    Problem::new(
        404,
        "payment_unknown",
        "Unknown payment",
        "No payment by a code of this device has this id.",
    )
}
