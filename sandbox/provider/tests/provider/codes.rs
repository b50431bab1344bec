//! Payment codes as phones see them: batches of aliases, their end, their rest. What shops do is in `codes_shops`.

use ring::hmac;
use sandbox_kit::bind::bind;
use sandbox_kit::bytes::{from_hex, to_hex};
use sandbox_kit::client::{CallError, Client};
use sandbox_kit::hpke::{self, Sealed};
use sandbox_kit::keys::PartyKey;
use sandbox_kit::{bytes, clock};
use sandbox_provider::policy::CodeRules;
use serde_json::{Value, json};
use sqlx::Row;

use crate::common::{ACQUIRER, Bench, Phone, bench, bench_with, fresh_key, is, refusal};
use crate::opaque::{beside, run};

/// A phone's codes, as it keeps them.
#[derive(Clone)]
pub(crate) struct Codes {
    pub(crate) seed: Vec<u8>,
    /// Aliases with their accounts, in the order they came.
    pub(crate) aliases: Vec<(String, String)>,
    pub(crate) dead: Vec<String>,
}

impl Codes {
    pub(crate) fn names(&self) -> Vec<String> {
        self.aliases
            .iter()
            .map(|(alias, _)| alias.clone())
            .collect()
    }

    /// The code of one of the aliases as of now.
    pub(crate) fn code(&self, place: usize) -> String {
        self.code_in(place, 0)
    }

    /// The same as of another moment, so many seconds from now.
    pub(crate) fn code_in(&self, place: usize, seconds: i64) -> String {
        let alias = &self.aliases[place].0;
        code_of(&self.seed, alias, clock::unix_now() + seconds)
    }
}

/// `73 | alias | otp`. HKDF and TOTP are written out here over ring's HMAC, which the provider does not use for them.
pub(crate) fn code_of(seed: &[u8], alias: &str, unix: i64) -> String {
    let mac = |key: &[u8], message: &[u8]| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        hmac::sign(&key, message).as_ref().to_vec()
    };
    let extracted = mac(&[0; 32], seed);
    let key = mac(&extracted, &[alias.as_bytes(), &[1]].concat());
    let tag = mac(&key, &(unix / 30).to_be_bytes());
    let at = usize::from(tag[31] & 15);
    let word = u32::from_be_bytes(tag[at..at + 4].try_into().unwrap()) & 0x7FFF_FFFF;
    format!("73{alias}{:06}", word % 1_000_000)
}

impl Phone<'_> {
    /// A request for aliases, and the key that its answer is sealed for.
    pub(crate) fn batch(&self, have: &[String], tokens: &[&str]) -> (Value, PartyKey) {
        let key = PartyKey::generate();
        let parts: [&[u8]; 2] = [self.id.as_bytes(), &key.public()];
        let proof = self.key.sign(&bind("tapcore-code-aliases-v1", &parts));
        let body = json!({ "have": have, "token_refs": tokens, "provisioning_key": key.public_hex(), "proof": to_hex(&proof) });
        (body, key)
    }

    /// Asks for aliases and opens what comes.
    pub(crate) async fn codes(&self, have: &[String], tokens: &[&str]) -> Result<Codes, CallError> {
        let ((body, key), once) = (self.batch(have, tokens), fresh_key());
        let answer = self.post("/v1/codes/aliases", &body, &once).await?;
        Ok(self.opened(&key, &once, &answer))
    }

    fn opened(&self, key: &PartyKey, once: &str, answer: &Value) -> Codes {
        let sealed: Sealed = serde_json::from_value(answer["sealed"].clone()).unwrap();
        let aad = bind("code-aliases", &[self.id.as_bytes(), once.as_bytes()]);
        let text = hpke::open(key, b"tapcore codes v1", &aad, &sealed).unwrap();
        let payload: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(payload["kind"], "code_aliases");
        assert_eq!(payload["device_id"], self.id.as_str());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let aliases: Vec<(String, String)> = payload["aliases"]
            .as_array()
            .unwrap()
            .iter()
            .map(|given| (text(&given["alias"]), text(&given["token_ref"])))
            .collect();
        assert_eq!(answer["issued"], aliases.len());
        Codes {
            seed: from_hex(payload["seed"].as_str().unwrap()).unwrap(),
            aliases,
            dead: payload["dead"]
                .as_array()
                .unwrap()
                .iter()
                .map(text)
                .collect(),
        }
    }

    pub(crate) async fn void(&self, alias: &str, why: &str) -> Result<Value, CallError> {
        let body = json!({ "aliases": [{ "alias": alias, "why": why }] });
        self.post("/v1/codes/void", &body, &fresh_key()).await
    }

    /// How an alias stands.
    pub(crate) async fn alias(&self, alias: &str) -> Result<Value, CallError> {
        self.get(&format!("/v1/codes/aliases/{alias}")).await
    }
}

/// Rules under which nothing but what a test is about stands in the way.
pub(crate) fn lenient() -> CodeRules {
    let mut rules = CodeRules {
        merchant_misses: 1_000_000,
        free_payments: 1_000_000,
        revoke_after_s: 0,
        ..CodeRules::default()
    };
    rules.daily.b = None;
    rules.daily.c = None;
    rules
}

/// The acquirer's client.
pub(crate) fn shop(bench: &Bench) -> Client {
    Client::new(&bench.ca, bench.acquirer_key.clone(), ACQUIRER).unwrap()
}

#[tokio::test]
async fn a_phone_holds_fifteen_aliases_over_all_its_accounts() {
    let bench = bench().await;
    let phone = bench.phone().await;
    let (first, second) = (phone.token().await, phone.token().await);
    let tokens = [first.as_str(), second.as_str()];
    let codes = phone.codes(&[], &tokens).await.unwrap();
    let of = |codes: &Codes, token: &str| {
        codes
            .aliases
            .iter()
            .filter(|(_, account)| account == token)
            .count()
    };
    assert_eq!((of(&codes, &first), of(&codes, &second)), (8, 7));
    let mut names = codes.names();
    assert!(names.iter().all(|alias| alias.len() == 10));
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 15);
    // With all of them at hand there is nothing to give; the seed comes again and is the same.
    let nothing = phone.codes(&codes.names(), &tokens).await.unwrap();
    assert_eq!((nothing.aliases.len(), &nothing.seed), (0, &codes.seed));
    // What the phone has no more ends, and is replaced.
    let have = codes.names()[3..].to_vec();
    let more = phone.codes(&have, &tokens).await.unwrap();
    assert_eq!((more.aliases.len(), more.dead.len()), (3, 0));
    let gone = phone.alias(&codes.aliases[0].0).await.unwrap();
    assert_eq!(gone["state"], "void");
    // A phone that says it has what it has not is told.
    let have = [codes.aliases[0].0.clone()];
    let more = phone.codes(&have, &tokens).await.unwrap();
    assert_eq!((more.aliases.len(), &more.dead[..]), (15, &have[..]));
    // Another phone's seed is another.
    let stranger = bench.phone().await;
    let token = stranger.token().await;
    let others = stranger.codes(&[], &[&token]).await.unwrap();
    assert_ne!(others.seed, codes.seed);
    assert_eq!(
        refusal(stranger.alias(&codes.aliases[4].0).await),
        is(404, "alias_unknown")
    );
}

#[tokio::test]
async fn a_card_that_was_added_has_its_share_at_once_and_what_expires_soon_is_replaced() {
    let bench = bench_with(None, lenient()).await;
    let phone = bench.phone().await;
    let first = phone.token().await;
    let codes = phone.codes(&[], &[&first]).await.unwrap();
    assert_eq!(codes.aliases.len(), 15);
    let second = phone.token().await;
    let tokens = [first.as_str(), second.as_str()];
    let more = phone.codes(&codes.names(), &tokens).await.unwrap();
    assert_eq!(more.aliases.len(), 7);
    assert!(more.aliases.iter().all(|(_, account)| *account == second));
    // The first card's expire before the 72 hours without a network are over.
    sqlx::query("UPDATE code_aliases SET not_after = $1 WHERE token_ref = $2")
        .bind(clock::unix_now() + 70 * 3_600)
        .bind(first.as_str())
        .execute(&beside(&bench).await)
        .await
        .unwrap();
    let have = [codes.names(), more.names()].concat();
    let fresh = phone.codes(&have, &tokens).await.unwrap();
    assert_eq!((fresh.aliases.len(), fresh.dead.len()), (8, 0));
    assert!(fresh.aliases.iter().all(|(_, account)| *account == first));
}

#[tokio::test]
async fn a_batch_is_answered_once_and_only_to_its_device() {
    let bench = bench().await;
    let phone = bench.phone().await;
    let token = phone.token().await;
    let ((body, key), once) = (phone.batch(&[], &[&token]), fresh_key());
    let path = "/v1/codes/aliases";
    let answer = phone.post(path, &body, &once).await.unwrap();
    assert_eq!(phone.post(path, &body, &once).await.unwrap(), answer);
    assert_eq!(phone.opened(&key, &once, &answer).aliases.len(), 15);

    let other = bench.phone().await;
    let others = other.token().await;
    let refused = phone.codes(&[], &[&others]).await.map(|_| ());
    assert_eq!(refusal(refused), is(409, "account_not_active"));
    // The proof is the device key's over this device and this provisioning key.
    let (stolen, _) = phone.batch(&[], &[&others]);
    let refused = other.post(path, &stolen, &fresh_key()).await;
    assert_eq!(refusal(refused), is(403, "proof_invalid"));
    for (member, value) in [
        ("have", json!(["12x"])),
        ("have", json!(vec!["0123456789"; 201])),
        ("token_refs", json!([])),
        ("token_refs", json!(["tok"])),
        ("provisioning_key", json!("04")),
        ("surplus", json!(1)),
    ] {
        let (mut odd, _) = phone.batch(&[], &[&token]);
        odd[member] = value;
        let refused = phone.post(path, &odd, &fresh_key()).await;
        assert_eq!(refusal(refused), is(422, "request_invalid"), "{member}");
    }
    let suspended = json!({ "state": "suspended" });
    let state = format!("/v1/tokens/{token}/state");
    phone.post(&state, &suspended, &fresh_key()).await.unwrap();
    let refused = phone.codes(&[], &[&token]).await.map(|_| ());
    assert_eq!(refusal(refused), is(409, "account_not_active"));
}

#[tokio::test]
async fn no_more_numbers_are_out_than_the_share_allows() {
    let mut rules = lenient();
    rules.live_share_ppm = 0;
    let closed = bench_with(None, rules).await;
    let phone = closed.phone().await;
    let token = phone.token().await;
    let refused = phone.codes(&[], &[&token]).await.map(|_| ());
    assert_eq!(refusal(refused), is(429, "code_space_full"));

    let bench = bench_with(None, lenient()).await;
    let db = beside(&bench).await;
    let phone = bench.phone().await;
    let token = phone.token().await;
    // All but four of the numbers that may be out are.
    run(&db, "UPDATE code_counts SET value = 3599999996").await;
    let codes = phone.codes(&[], &[&token]).await.unwrap();
    assert_eq!(codes.aliases.len(), 4);
    // Who holds some is told the time and what is dead, and gets none.
    let none = phone.codes(&codes.names(), &[&token]).await.unwrap();
    assert_eq!((none.aliases.len(), none.dead.len()), (0, 0));
    // Ended ones count as long as they rest.
    let refused = phone.codes(&[], &[&token]).await.map(|_| ());
    assert_eq!(refusal(refused), is(429, "code_space_full"));
    run(&db, "UPDATE code_aliases SET free_at = 1").await;
    let codes = phone.codes(&[], &[&token]).await.unwrap();
    assert_eq!(codes.aliases.len(), 4);
}

#[tokio::test]
async fn a_phone_cannot_take_all_the_numbers() {
    let bench = bench_with(None, lenient()).await;
    let phone = bench.phone().await;
    let token = phone.token().await;
    let mut codes = phone.codes(&[], &[&token]).await.unwrap();
    for _ in 1..10 {
        codes = phone.codes(&[], &[&token]).await.unwrap();
        assert_eq!(codes.aliases.len(), 15);
    }
    // Who asks for nothing is answered.
    let nothing = phone.codes(&codes.names(), &[&token]).await.unwrap();
    assert_eq!((nothing.aliases.len(), nothing.dead.len()), (0, 0));
    let refused = phone.codes(&[], &[&token]).await.map(|_| ());
    assert_eq!(refusal(refused), is(429, "codes_too_often"));
    // What it said it holds no more is dead all the same.
    let alias = phone.alias(&codes.aliases[0].0).await.unwrap();
    assert_eq!(alias["state"], "void");
    // Others are served, and so is this one when some have rested: with as many as there are places.
    let other = bench.phone().await;
    assert_eq!(other.fifteen().await.aliases.len(), 15);
    let rested = "UPDATE code_aliases SET free_at = 1 WHERE alias IN (SELECT alias FROM code_aliases WHERE state = 'void' LIMIT 4)";
    run(&beside(&bench).await, rested).await;
    let more = phone.codes(&[], &[&token]).await.unwrap();
    assert_eq!(more.aliases.len(), 4);
}

#[tokio::test]
async fn numbers_rest_and_are_recycled() {
    let bench = bench_with(None, lenient()).await;
    let db = beside(&bench).await;
    let phone = bench.phone().await;
    let token = phone.token().await;
    let codes = phone.codes(&[], &[&token]).await.unwrap();
    let count = async |sql: &'static str| -> i64 {
        let row = sqlx::query(sql).fetch_one(&db).await.unwrap();
        row.try_get(0).unwrap()
    };
    assert_eq!(count("SELECT value FROM code_counts").await, 15);
    phone.void(&codes.aliases[0].0, "closed").await.unwrap();
    assert_eq!(count("SELECT COUNT(*) FROM code_aliases").await, 15);
    run(
        &db,
        "UPDATE code_aliases SET free_at = 1 WHERE state = 'void'",
    )
    .await;
    let background = bench.provider.start();
    for _ in 0..400 {
        if count("SELECT COUNT(*) FROM code_aliases").await == 14 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    drop(background);
    assert_eq!(count("SELECT value FROM code_counts").await, 14);
    assert_eq!(
        refusal(phone.alias(&codes.aliases[0].0).await),
        is(404, "alias_unknown")
    );
}

#[tokio::test]
async fn an_alias_that_was_closed_or_seen_is_dead_at_once() {
    let bench = bench_with(None, lenient()).await;
    let phone = bench.phone().await;
    let token = phone.token().await;
    let codes = phone.codes(&[], &[&token]).await.unwrap();
    for (place, why) in ["closed", "revealed", "screenshot"].into_iter().enumerate() {
        let alias = &codes.aliases[place].0;
        for _ in 0..2 {
            let answer = phone.void(alias, why).await.unwrap();
            let expected = json!({ "aliases": [{ "alias": alias, "state": "void" }] });
            assert_eq!(answer, expected);
        }
        assert_eq!(phone.alias(alias).await.unwrap()["state"], "void");
        let answer = bench.pay(&codes.code(place), "A-1", 1250).await.unwrap();
        assert_eq!(answer["reason"], "code_void", "{why}");
    }
    // Nobody ends another's.
    let stranger = bench.phone().await;
    let alias = &codes.aliases[5].0;
    let answer = stranger.void(alias, "closed").await.unwrap();
    assert_eq!(answer["aliases"][0]["state"], "unknown");
    assert_eq!(phone.alias(alias).await.unwrap()["state"], "live");
    let odd = phone.void(alias, "bored").await;
    assert_eq!(refusal(odd), is(422, "request_invalid"));
}

#[tokio::test]
async fn a_wiped_phone_s_codes_stand_for_nobody() {
    let bench = bench_with(None, lenient()).await;
    let phone = bench.phone().await;
    let token = phone.token().await;
    let code = phone.link_code("second_phone").await;
    let second = bench.joined(Some(&code)).await;
    let codes = phone.codes(&[], &[&token]).await.unwrap();
    bench.pay(&codes.code(0), "A-0", 1250).await.unwrap();
    let path = format!("/v1/phones/{}/wipe", phone.id);
    second.post(&path, &json!({}), &fresh_key()).await.unwrap();
    let answer = bench.pay(&codes.code(1), "A-1", 1250).await.unwrap();
    assert_eq!(answer["reason"], "code_not_valid");
    // What was paid stays in the user's statement and export, until the user is erased.
    let export = second.get("/v1/export").await.unwrap();
    assert_eq!(export["code_payments"].as_array().unwrap().len(), 1);
    assert_eq!(export["code_entries"].as_array().unwrap().len(), 1);
    second
        .post("/v1/erasure", &json!({}), &fresh_key())
        .await
        .unwrap();
    let db = beside(&bench).await;
    let row =
        sqlx::query("SELECT user_id, device_id, token_ref, alias, amount_minor FROM code_payments")
            .fetch_one(&db)
            .await
            .unwrap();
    for column in 0..4 {
        assert_eq!(row.try_get::<String, _>(column).unwrap(), "");
    }
    assert_eq!(row.try_get::<i64, _>(4).unwrap(), 1250);
    let ledger = bench.provider.ledger().await.unwrap();
    assert_eq!(ledger.entries[0].amount_minor, 1250);
    assert_eq!(ledger.entries[0].token, None);
}

#[tokio::test]
async fn seeds_lie_sealed_and_survive_a_restart() {
    let mut bench = bench_with(None, lenient()).await;
    let (key, id, codes) = {
        let phone = bench.phone().await;
        let token = phone.token().await;
        let codes = phone.codes(&[], &[&token]).await.unwrap();
        (phone.key.clone(), phone.id.clone(), codes)
    };
    bench.restart().await;
    let answer = bench.pay(&codes.code(0), "A-1", 1250).await.unwrap();
    assert_eq!(answer["state"], "approved");
    let db = beside(&bench).await;
    let row = sqlx::query("SELECT sealed FROM code_seeds")
        .fetch_one(&db)
        .await
        .unwrap();
    let sealed: Vec<u8> = row.try_get(0).unwrap();
    assert!(!sealed.windows(32).any(|part| part == codes.seed));
    // And the phone, with a new session, is given the same one again.
    let client = bench.session(&key, &id).await.unwrap();
    let phone = Phone {
        bench: &bench,
        id,
        user: String::new(),
        key,
        client,
    };
    let token = codes.aliases[0].1.clone();
    let again = phone.codes(&codes.names()[1..], &[&token]).await.unwrap();
    assert_eq!((again.seed, again.aliases.len()), (codes.seed.clone(), 1));
}

#[tokio::test]
async fn phones_are_told_where_codes_are_taken() {
    let bench = bench().await;
    let phone = bench.phone().await;
    let told = phone.get("/v1/codes/acceptance").await.unwrap();
    assert_eq!(told["countries"], json!(["0156"]));
    assert_eq!(told["elsewhere"], "place_abroad");
    let refused = told["refused_classes"].as_array().unwrap();
    assert!(
        refused
            .iter()
            .any(|class| class["from"] == "7995" && class["reason"] == "class_gambling")
    );
    let device = phone.get("/v1/device").await.unwrap();
    let policy = &device["policy"]["codes"];
    assert_eq!(
        (&policy["prefix"], &policy["aliases"]),
        (&json!("73"), &json!(15))
    );
    // Acquirers are no phones.
    let url = bench.url("/v1/codes/acceptance");
    let refused: Result<Value, _> = shop(&bench).get(&url).await;
    assert_eq!(refusal(refused), is(401, "session_unknown"));
    let stranger = Client::new(&bench.ca, PartyKey::generate(), ACQUIRER).unwrap();
    let order = json!({ "merchant_id": "m", "order_id": bytes::to_hex(&[1]) });
    let refused: Result<Value, _> = stranger
        .post(&bench.url("/v1/codes/query"), &order, None)
        .await;
    assert_eq!(refusal(refused), is(401, "signature_invalid"));
}
