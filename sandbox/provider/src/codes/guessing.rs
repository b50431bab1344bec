//! Guessing, played against the provider's own decisions with fewer digits, so that some guesses hit: what
//! `docs/codes.md` says of them, and of what the throttles leave. Seeds, aliases, guesses and time are counted out, so
//! that each run is the same. Chance is allowed three standard deviations.

use sandbox_kit::bind::bind;
use sandbox_kit::bytes;
use sandbox_kit::event::Events;
use sandbox_kit::keys::PartyKey;
use sandbox_kit::server::Authority;
use sqlx::Row;

use super::decide::{Decided, decide, resolves};
use super::form::Scan;
use super::format::CodePolicy;
use super::otp::OLD_STEPS;
use super::payments::State;
use super::rules::{CodeRules, DailyLimits};
use crate::{Inner, PASSWORD_TRIES, Policy, Provider, ProviderConfig};

/// The first moment of a day in China.
const MIDNIGHT: i64 = 1_795_363_200;
const DAY: i64 = 86_400;
/// Passwords with so few digits are guessed ten thousand times as often as those of six.
const OTPS: u64 = 100;
const NOT_VALID: &str = "code_not_valid";

/// 10,000 aliases, 100 passwords: no policy that the provider would give to phones.
fn small() -> CodePolicy {
    CodePolicy {
        alias_digits: 4,
        otp_digits: 2,
        ..CodePolicy::default()
    }
}

/// The standard rules, without those that end what a hit is worth.
fn rules() -> CodeRules {
    CodeRules {
        free_payments: i64::MAX,
        daily: DailyLimits {
            a: None,
            b: None,
            c: None,
        },
        ..CodeRules::default()
    }
}

/// The chance of a blind guess as the document has it: the live share, times three windows, by the number of passwords.
fn blind(rules: &CodeRules, otps: u64) -> f64 {
    millionths(rules.live_share_ppm) * 3.0 / float(otps)
}

fn millionths(number: u64) -> f64 {
    float(number) / 1e6
}

fn float(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}

/// So many hits of so many tries are what chance makes of `p`.
fn agrees(what: &str, hits: u64, tries: u64, p: f64) {
    let expected = float(tries) * p;
    let allowed = 3.0 * (expected * (1.0 - p)).sqrt();
    println!("{what}: {hits} hits in {tries} tries, {expected:.1} ± {allowed:.1} expected");
    assert!((float(hits) - expected).abs() <= allowed, "{what}");
}

/// A number below `below`, drawn but always the same.
fn drawn(what: &str, count: u64, below: u64) -> u64 {
    let hash = bytes::sha256(&bind(what, &[&count.to_be_bytes()]));
    let (word, _) = hash.split_first_chunk::<8>().unwrap();
    u64::from_be_bytes(*word) % below
}

/// A provider that has given out as many of the small policy's aliases as its rules allow.
struct Here {
    _folder: tempfile::TempDir,
    provider: Provider,
    policy: CodePolicy,
    live: Vec<String>,
}

impl Here {
    async fn new(rules: CodeRules) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path()).unwrap();
        let policy = small();
        let taken = usize::try_from(rules.most_taken(policy.space())).unwrap();
        let provider = Provider::open(ProviderConfig {
            database: crate::database(folder.path()),
            database_url: None,
            // Decisions come before the network is asked.
            network_url: "https://127.0.0.1:1".to_owned(),
            network_signing_key: PartyKey::generate().public(),
            network_hpke_key: PartyKey::generate().public(),
            ca_pem: authority.ca_pem().to_vec(),
            key: PartyKey::generate(),
            pins: [String::new(), String::new()],
            policy: Policy::default(),
            codes: rules,
            password_tries: PASSWORD_TRIES,
            attestation_roots: Vec::new(),
            events: Events::nobody(),
        })
        .await
        .unwrap();
        let mut numbers: Vec<u64> = (0..policy.space()).collect();
        numbers.sort_by_key(|number| drawn("alias", *number, u64::MAX));
        let live = numbers[..taken].iter();
        let live = live.map(|number| format!("{number:04}")).collect();
        let here = Self {
            _folder: folder,
            provider,
            policy,
            live,
        };
        here.fill().await;
        here
    }

    fn inner(&self) -> &Inner {
        &self.provider.inner
    }

    /// One phone that holds all that is live.
    async fn fill(&self) {
        let codes = &self.inner().codes;
        let seed = bytes::sha256(b"the seed of a phone").into();
        let sealed = codes.seeds.seal("dev_1", &seed).unwrap();
        let mut work = self.inner().store.db().begin().await.unwrap();
        for sql in [
            "INSERT INTO users (user_id, since, last_seq) VALUES ('usr_1', '', 0)",
            "INSERT INTO devices (device_id, device_key, key_store, app_version, enrolled_at, user_id) VALUES ('dev_1', x'', '', '', '', 'usr_1')",
            "INSERT INTO tokens (token_ref, device_id, at) VALUES ('tok_1', 'dev_1', '')",
        ] {
            sqlx::raw_sql(sql).execute(&mut *work).await.unwrap();
        }
        sqlx::query("INSERT INTO code_seeds (device_id, sealed, at) VALUES ('dev_1', $1, '')")
            .bind(sealed)
            .execute(&mut *work)
            .await
            .unwrap();
        for alias in &self.live {
            sqlx::query("INSERT INTO code_aliases (alias, alias_id, device_id, token_ref, state, why, wrong, not_after, free_at) VALUES ($1, $1, 'dev_1', 'tok_1', 'live', '', 0, $2, $2)")
                .bind(alias.as_str())
                .bind(MIDNIGHT + 7 * DAY)
                .execute(&mut *work)
                .await
                .unwrap();
        }
        work.commit().await.unwrap();
    }

    /// Since when the merchant's misses are counted, and how many there are.
    async fn counted(&self) -> Option<(i64, i64)> {
        sqlx::query("SELECT since, misses FROM code_misses")
            .fetch_optional(self.inner().store.db().pool())
            .await
            .unwrap()
            .map(|row| (row.get(0), row.get(1)))
    }

    /// A merchant tries a code, for an order of its own.
    async fn tries(&self, code: &str, order: u64, now: i64) -> Came {
        let scan = Scan {
            code: code.to_owned(),
            amount_minor: 100,
            currency: "CNY".to_owned(),
            order_id: format!("A-{order}"),
            merchant_id: "898110058120001".to_owned(),
            merchant: "Mapo Tofu House".to_owned(),
            mcc: "5812".to_owned(),
            country: "0156".to_owned(),
            terminal_id: "T0000001".to_owned(),
            at: sandbox_kit::clock::unix_text(now),
        };
        let decided = decide(self.inner(), &self.policy, "acquirer", &scan, now);
        match decided.await.unwrap() {
            Decided::Stands(payment) => {
                assert_eq!(payment.state, State::Started);
                Came::Hit
            }
            Decided::Refused(reason) => Came::Refused(reason),
            Decided::Conflict => panic!("each guess has its own order"),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Came {
    Hit,
    Refused(&'static str),
}

/// Any alias, any password.
fn blind_guess(what: &str, count: u64) -> String {
    let number = drawn(what, count, 10_000 * OTPS);
    format!("73{number:06}")
}

fn aimed_guess(alias: &str, otp: u64) -> String {
    format!("73{alias}{otp:02}")
}

#[tokio::test]
async fn guessing_blindly_hits_by_the_live_share() {
    for share in [360_000, 60_000] {
        let rules = CodeRules {
            live_share_ppm: share,
            ..rules()
        };
        let p = blind(&rules, OTPS);
        let here = Here::new(rules).await;
        let (mut hits, mut now) = (0, MIDNIGHT);
        let tries = 20_000;
        for count in 0..tries {
            let code = blind_guess("blind", count);
            let hit = resolves(here.inner(), &here.policy, &code, now).await;
            hits += u64::from(hit.unwrap());
            now += 1;
        }
        agrees(&format!("live share {share} ppm"), hits, tries, p);
    }
}

#[tokio::test]
async fn guessing_at_a_known_alias_ends_with_the_third_try() {
    let rules = CodeRules {
        merchant_misses: i64::MAX,
        ..rules()
    };
    let here = Here::new(rules).await;
    let (mut hits, mut order, known) = (0, 0, 400);
    for (place, alias) in here.live.iter().take(known).enumerate() {
        let now = MIDNIGHT + i64::try_from(place).unwrap();
        let first = drawn("aimed", order, OTPS);
        let mut open = true;
        for next in 0..3 {
            let code = aimed_guess(alias, (first + next) % OTPS);
            order += 1;
            match here.tries(&code, order, now).await {
                Came::Hit => {
                    hits += 1;
                    open = false;
                    break;
                }
                Came::Refused(reason) => assert_eq!(reason, NOT_VALID),
            }
        }
        // The alias is dead: no password pays, and only who has a right one is told.
        if open && place < 3 {
            let mut told = 0;
            for otp in 0..OTPS {
                order += 1;
                let came = here.tries(&aimed_guess(alias, otp), order, now).await;
                let right = came == Came::Refused("code_throttled");
                assert!(right || came == Came::Refused(NOT_VALID), "{came:?}");
                told += u64::from(right);
            }
            assert!((1..=3).contains(&told));
        }
    }
    // Three tries, three windows.
    let p = 9.0 / float(OTPS);
    agrees("three tries at known aliases", hits, 400, p);
}

#[tokio::test]
async fn guessing_for_a_day_is_throttled() {
    let rules = rules();
    let (window, misses_allowed) = (rules.merchant_window_s, rules.merchant_misses);
    let p = blind(&rules, OTPS);
    // With so few passwords one may be right and old at once: then it is right.
    let other = 1.0 - 1.0 / float(OTPS);
    let steps = i32::try_from(OLD_STEPS).unwrap();
    let p_old = millionths(rules.live_share_ppm) * other.powi(3) * (1.0 - other.powi(steps));
    let here = Here::new(rules).await;
    let (mut hits, mut misses, mut old, mut order) = (0, 0, 0, 0);
    // With so few passwords, a number that a guess has ended is guessed again now and then.
    let mut dead = 0;
    let (mut now, mut since, mut counted) = (MIDNIGHT, None, None);
    while now < MIDNIGHT + DAY {
        order += 1;
        match here.tries(&blind_guess("day", order), order, now).await {
            Came::Hit => hits += 1,
            Came::Refused("merchant_throttled") => {
                // To the last second of the window.
                let end = since.take().unwrap() + window;
                let right = here.tries(&blind_guess("day", 0), 0, end - 1).await;
                assert_eq!(right, Came::Refused("merchant_throttled"));
                now = end;
                continue;
            }
            Came::Refused("code_used" | "code_throttled") => dead += 1,
            Came::Refused(reason) => {
                assert_eq!(reason, NOT_VALID);
                let before = std::mem::replace(&mut counted, here.counted().await);
                if counted == before {
                    old += 1;
                } else {
                    since.get_or_insert(now);
                    misses += 1;
                }
            }
        }
        now += 1;
    }
    assert_eq!(misses, misses_allowed * DAY / window);
    let tries = hits + dead + old + u64::try_from(misses).unwrap();
    agrees("a merchant's day", hits, tries, p);
    agrees("old passwords of a day", old, tries, p_old);
}

#[test]
fn guessing_takes_what_the_document_says() {
    let (policy, rules) = (CodePolicy::default(), CodeRules::default());
    let otps = 10_u64.pow(policy.otp_digits);
    let p = blind(&rules, otps);
    let tries = rules.merchant_misses * DAY / rules.merchant_window_s;
    let hits = float(u64::try_from(tries).unwrap()) * p;
    let most_yuan = float(u64::try_from(policy.password_above_minor).unwrap()) / 100.0;
    let aimed = 3.0 * float(u64::try_from(rules.wrong_tries).unwrap()) / float(otps);
    let document = include_str!("../../../../docs/codes.md");
    for said in [
        format!("`p ≤ {:.2} × 10⁻⁶`", p * 1e6),
        format!("**≤ {:.0} × 10⁻⁶** in all", aimed * 1e6),
        format!("{:.4} hits per merchant and day", hits),
        format!("{:.1} yuan per merchant and day", hits * most_yuan),
        format!("the {OLD_STEPS} steps before those that count"),
        format!(
            "after {} in {} s",
            rules.merchant_misses, rules.merchant_window_s
        ),
    ] {
        assert!(document.contains(&said), "{said}");
    }
    // The table's last column: 18 numbers for each person, live and resting.
    for (digits, people, share, said) in [
        (10, 2e8, "36 %", "1.1 × 10⁻⁶"),
        (12, 1.4e9, "2.5 %", "7.6 × 10⁻⁸"),
        (16, 1.4e9, "0.00025 %", "7.6 × 10⁻¹²"),
    ] {
        let live = people * 18.0 / 10_f64.powi(digits);
        let power = (live * 3.0 / float(otps)).log10().floor();
        let first = live * 3.0 / float(otps) / 10_f64.powf(power);
        assert!(said.starts_with(&format!("{first:.1} ")), "{first} {said}");
        let row = format!("{share} | {said} |");
        assert!(document.contains(&row), "{row}");
    }
}
