//! How long it takes to find out whose a scanned code is, among a thousand, a hundred thousand and ten million live aliases:
//! `cargo xtask bench --only provider`, or `cargo bench -p sandbox-provider -- --only provider.resolve_1e5`.
//!
//! Ours is the look-up with the check of the one-time password, as every payment makes it. Floor: the look-up's one statement
//! through sqlx, by a pool of its own on the same file. The aliases are filled in by SQL; the ten million take a minute or two
//! and two gigabytes in the temporary folder.

#[path = "../tests/provider/common.rs"]
#[allow(dead_code, reason = "the tests use the rest of it")]
mod common;
#[path = "../tests/provider/network.rs"]
#[allow(dead_code, reason = "the tests use the rest of it")]
mod network;

use std::hint::black_box;
use std::time::{Duration, Instant};

use common::{Bench, bench_on_file, fresh_key};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sandbox_kit::bind::bind;
use sandbox_kit::bytes::{from_hex, to_hex};
use sandbox_kit::clock;
use sandbox_kit::db::sqlite_url;
use sandbox_kit::hpke::{self, Sealed};
use sandbox_kit::keys::PartyKey;
use sandbox_provider::Provider;
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::AnyPool;

/// Live aliases, by the name of the bench.
const SIZES: [(&str, u64); 3] = [
    ("provider.resolve_1e3", 1_000),
    ("provider.resolve_1e5", 100_000),
    ("provider.resolve_1e7", 10_000_000),
];
/// Rows that one transaction fills in.
const PART: u64 = 1_000_000;
/// Look-ups that are timed, each of another alias.
const ROUNDS: u64 = 2_000;
/// All aliases there can be of ten digits, and a number without a common divisor by which the filled ones are spread over
/// them.
const SPACE: u64 = 10_000_000_000;
const SPREAD: u64 = 7_368_787;

fn main() {
    let mut words = std::env::args().skip_while(|word| word != "--only");
    let prefix = words.nth(1).unwrap_or_default();
    let wanted: Vec<_> = SIZES
        .into_iter()
        .filter(|(name, _)| name.starts_with(&prefix))
        .collect();
    if wanted.is_empty() {
        return;
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let bench = bench_on_file().await;
        let phone = OnePhone::enrolled(&bench).await;
        let mut filled = 0;
        for (name, size) in wanted {
            phone.fill(filled..size).await;
            filled = size;
            println!("{}", phone.measure(name, &bench.provider, size).await);
        }
    });
}

/// Whose all the aliases are.
struct OnePhone {
    device: String,
    token: String,
    seed: Vec<u8>,
    db: AnyPool,
}

impl OnePhone {
    /// A phone with a card, which was given its seed.
    async fn enrolled(bench: &Bench) -> Self {
        let phone = bench.phone().await;
        let token = phone.token().await;
        let (key, once) = (PartyKey::generate(), fresh_key());
        let parts: [&[u8]; 2] = [phone.id.as_bytes(), &key.public()];
        let proof = to_hex(&phone.key.sign(&bind("tapcore-code-aliases-v1", &parts)));
        let body = json!({ "have": [], "token_refs": [token], "provisioning_key": key.public_hex(), "proof": proof });
        let answer = phone.post("/v1/codes/aliases", &body, &once).await.unwrap();
        let sealed: Sealed = serde_json::from_value(answer["sealed"].clone()).unwrap();
        let aad = bind("code-aliases", &[phone.id.as_bytes(), once.as_bytes()]);
        let text = hpke::open(&key, b"tapcore codes v1", &aad, &sealed).unwrap();
        let payload: Value = serde_json::from_slice(&text).unwrap();
        let file = bench.folder.path().join("provider.db");
        Self {
            device: phone.id.clone(),
            token,
            seed: from_hex(payload["seed"].as_str().unwrap()).unwrap(),
            db: AnyPool::connect(&sqlite_url(&file)).await.unwrap(),
        }
    }

    /// Fills aliases in.
    async fn fill(&self, numbers: std::ops::Range<u64>) {
        let not_after = clock::unix_now() + 86_400;
        let part = usize::try_from(PART).unwrap();
        for from in numbers.clone().step_by(part) {
            let until = numbers.end.min(from + PART);
            sqlx::query("WITH RECURSIVE n (x) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT x + 1 FROM n WHERE x + 1 < $2) INSERT INTO code_aliases (alias, alias_id, device_id, token_ref, state, why, wrong, not_after, free_at) SELECT printf('%010d', x * $3 % $4), 'als_' || x, $5, $6, 'live', '', 0, $7, $7 FROM n WHERE true ON CONFLICT DO NOTHING")
                .bind(i64::try_from(from).unwrap())
                .bind(i64::try_from(until).unwrap())
                .bind(i64::try_from(SPREAD).unwrap())
                .bind(i64::try_from(SPACE).unwrap())
                .bind(self.device.as_str())
                .bind(self.token.as_str())
                .bind(not_after)
                .execute(&self.db)
                .await
                .unwrap();
        }
    }

    /// Ours and the floor in turn, each alias once: medians, in microseconds.
    async fn measure(&self, name: &str, provider: &Provider, size: u64) -> Value {
        let (mut ours, mut floor) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS + ROUNDS / 10 {
            // Scattered over all there are, so that no page is warm because its neighbour was asked for.
            let number = round.wrapping_mul(0x9E37_79B9_7F4A_7C15) % size;
            let alias = format!("{:010}", number * SPREAD % SPACE);
            let code = self.code(&alias);
            let (took, right) = timed(provider.resolves_code(&code)).await;
            assert!(right.unwrap(), "{alias} is not found");
            let look_up = sqlx::query(Provider::CODE_LOOK_UP)
                .bind(alias.as_str())
                .fetch_optional(&self.db);
            let (bare, row) = timed(look_up).await;
            assert!(row.unwrap().is_some());
            if round >= ROUNDS / 10 {
                ours.push(took);
                floor.push(bare);
            }
        }
        let (ours, floor) = (median(ours), median(floor));
        json!({ "name": name, "unit": "us", "ours": ours, "floor": floor, "ratio": ours / floor })
    }

    /// The code of an alias as of now (RFC 6238, RFC 5869).
    fn code(&self, alias: &str) -> String {
        let mut key = [0; 32];
        let derived = Hkdf::<Sha256>::new(None, &self.seed);
        derived.expand(alias.as_bytes(), &mut key).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(&(clock::unix_now() / 30).to_be_bytes());
        let tag = mac.finalize().into_bytes();
        let at = usize::from(tag[31] & 15);
        let word = u32::from_be_bytes(tag[at..at + 4].try_into().unwrap()) & 0x7FFF_FFFF;
        format!("73{alias}{:06}", word % 1_000_000)
    }
}

async fn timed<T>(work: impl Future<Output = T>) -> (Duration, T) {
    let begun = Instant::now();
    let answer = black_box(work.await);
    (begun.elapsed(), answer)
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    let at = times.len() / 2;
    times.get(at).copied().unwrap_or_default().as_secs_f64() * 1e6
}
