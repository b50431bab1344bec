//! Every route that does something: signed, done once however often it is asked for, and never half another's request.

use std::collections::BTreeSet;

use opaque_ke::{ClientLogin, ClientRegistration};
use rand_core::OsRng;
use sandbox_kit::bind::bind;
use sandbox_kit::bytes::to_hex;
use sandbox_kit::client::CallError;
use sandbox_kit::keys::PartyKey;
use serde_json::{Value, json};

use crate::common::{Bench, Phone, a_box, bench_on_file, fresh_key, is, notification, refusal};
use crate::makers::maker_payload;
use crate::opaque::{PASSWORD, Suite, beside, by_password, dinner, run, set};

/// The routes that take a POST, as the provider's sources name them.
fn routes() -> BTreeSet<String> {
    let sources = [
        include_str!("../../src/lib.rs"),
        include_str!("../../src/password/mod.rs"),
    ];
    let routes = sources.iter().flat_map(|source| {
        let parts = source.split(".route(").skip(1);
        parts.filter_map(|part| {
            let mut quoted = part.split('"');
            let path = quoted.nth(1)?;
            let handler = quoted.next()?.trim_start_matches([',', ' ', '\n']);
            handler.starts_with("post(").then(|| path.to_owned())
        })
    });
    routes.collect()
}

/// What comes before there can be a signature: a challenge is good once, and these have tests of their own.
const OPEN: [&str; 3] = ["/v1/enrolment-challenges", "/v1/enrolments", "/v1/sessions"];

#[tokio::test]
async fn s38_no_route_takes_a_body_that_nobody_signed() {
    let bench = bench_on_file().await;
    let signed = routes()
        .into_iter()
        .filter(|route| !OPEN.contains(&route.as_str()));
    let mut seen = 0;
    for route in signed {
        seen += 1;
        let parts = route.split('/').map(|part| match part.starts_with('{') {
            true => "dev_00000000",
            false => part,
        });
        let url = bench.url(&parts.collect::<Vec<_>>().join("/"));
        let unsigned: Result<Value, CallError> = bench
            .unsigned()
            .post(&url, &json!({}), Some(&fresh_key()))
            .await;
        assert_eq!(refusal(unsigned).0, 401, "{route}");
    }
    assert!(seen > 12, "the routes are not where this test looks");
}

/// A walk over the routes with one phone.
struct Walk<'a> {
    bench: &'a Bench,
    phone: &'a Phone<'a>,
    left: BTreeSet<String>,
}

impl Walk<'_> {
    /// Asks for the same twice under one key, then for something else under it.
    async fn twice(&mut self, route: &str, path: &str, body: &Value, other: &Value) -> Value {
        let key = fresh_key();
        self.twice_under(route, path, &key, body, other).await
    }

    async fn twice_under(
        &mut self,
        route: &str,
        path: &str,
        key: &str,
        body: &Value,
        other: &Value,
    ) -> Value {
        let (phone, url) = (self.phone, self.bench.url(path));
        let keyless: Result<Value, CallError> = phone.client.post(&url, body, None).await;
        assert_eq!(
            refusal(keyless),
            is(400, "idempotency_key_missing"),
            "{route}"
        );
        let first = phone.post(path, body, key).await;
        let first = first.unwrap_or_else(|error| panic!("{route}: {error}"));
        let asked = self.asked();
        assert_eq!(phone.post(path, body, key).await.unwrap(), first, "{route}");
        assert_eq!(self.asked(), asked, "{route}: the network was asked again");
        if other != body {
            let conflict = is(409, "idempotency_conflict");
            assert_eq!(
                refusal(phone.post(path, other, key).await),
                conflict,
                "{route}"
            );
        }
        self.met(route);
        first
    }

    fn asked(&self) -> usize {
        self.bench.network.asked.lock().unwrap().len()
    }

    fn met(&mut self, route: &str) {
        assert!(
            self.left.remove(route),
            "{route} is not a route, or was met before"
        );
    }
}

fn text(answer: &Value, member: &str) -> String {
    answer[member].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn s39_every_route_does_a_repeated_request_once_and_answers_it_alike() {
    let bench = bench_on_file().await;
    let phone = bench.phone().await;
    let mut walk = Walk {
        bench: &bench,
        phone: &phone,
        left: routes(),
    };
    for open in OPEN {
        walk.met(open);
    }

    let a_card = || json!({ "sealed_card": a_box() });
    let entry = walk
        .twice("/v1/cards", "/v1/cards", &a_card(), &a_card())
        .await;
    let challenge = text(&entry, "challenge_id");
    let path = format!("/v1/cards/{challenge}/verify");
    let (code, other) = (
        phone.verification(&challenge),
        phone.verification(&challenge),
    );
    let issued = walk
        .twice("/v1/cards/{challenge_id}/verify", &path, &code, &other)
        .await;
    let token = text(&issued, "token_ref");
    let path = format!("/v1/tokens/{token}/replenish");
    let (log, other) = (phone.replenishment(&token), phone.replenishment(&token));
    walk.twice("/v1/tokens/{token_ref}/replenish", &path, &log, &other)
        .await;
    let path = format!("/v1/tokens/{token}/maker-payload");
    let (asked, other) = (maker_payload(&phone, &token), maker_payload(&phone, &token));
    walk.twice(
        "/v1/tokens/{token_ref}/maker-payload",
        &path,
        &asked,
        &other,
    )
    .await;
    let path = format!("/v1/tokens/{token}/state");
    let (suspended, active) = (
        json!({ "state": "suspended" }),
        json!({ "state": "active" }),
    );
    walk.twice("/v1/tokens/{token_ref}/state", &path, &suspended, &active)
        .await;
    phone.post(&path, &active, &fresh_key()).await.unwrap();

    let keys = [PartyKey::generate(), PartyKey::generate()].map(|key| {
        let parts: [&[u8]; 2] = [phone.id.as_bytes(), &key.public()];
        let proof = phone.key.sign(&bind("tapcore-confirmation-key-v1", &parts));
        json!({ "public_key": key.public_hex(), "proof": to_hex(&proof) })
    });
    let path = "/v1/confirmation-key";
    walk.twice(path, path, &keys[0], &keys[1]).await;

    let [beginning, other] = [(); 2].map(|()| {
        let client = ClientRegistration::<Suite>::start(&mut OsRng, PASSWORD.as_bytes()).unwrap();
        json!({ "request": to_hex(&client.message.serialize()) })
    });
    let path = "/v1/payment-password/registrations";
    walk.twice(path, path, &beginning, &other).await;
    let upload = |bytes: &[u8]| json!({ "upload": to_hex(bytes), "authority": null });
    let other = upload(&phone.registration("another").await);
    let right = upload(&phone.registration(PASSWORD).await);
    let path = "/v1/payment-password";
    walk.twice(path, path, &right, &other).await;
    let [login, other] = [(); 2].map(|()| {
        let client = ClientLogin::<Suite>::start(&mut OsRng, PASSWORD.as_bytes()).unwrap();
        json!({ "ke1": to_hex(&client.message.serialize()) })
    });
    let path = "/v1/payment-password/logins";
    walk.twice(path, path, &login, &other).await;
    assert_eq!(phone.password().await, set(4), "one try is spent, not two");

    // A confirmation is made for its key.
    let (login, key) = (phone.login().await, fresh_key());
    let bound = phone.bound(1250, "CNY", "Mapo Tofu House", &key);
    let right = dinner(&by_password(&login, &bound));
    let mut other = right.clone();
    other["amount_minor"] = json!(125_000);
    let path = "/v1/confirmations";
    walk.twice_under(path, path, &key, &right, &other).await;

    run(
        &beside(&bench).await,
        "UPDATE tokens SET at = '2020-01-01T00:00:00Z'",
    )
    .await;
    let path = "/v1/payment-password/resets";
    let reset = walk.twice(path, path, &a_card(), &a_card()).await;
    let path = format!("{path}/{}/verify", text(&reset, "reset_id"));
    let (code, other) = (json!({ "code": "493817" }), json!({ "code": "111111" }));
    let route = "/v1/payment-password/resets/{reset_id}/verify";
    walk.twice(route, &path, &code, &other).await;

    let kinds = (json!({ "kind": "second_phone" }), json!({ "kind": "move" }));
    let link = walk
        .twice("/v1/link-codes", "/v1/link-codes", &kinds.0, &kinds.1)
        .await;
    let sibling = bench.joined(Some(&text(&link, "code"))).await;
    let path = format!("/v1/phones/{}/wipe", sibling.id);
    let nothing = json!({});
    walk.twice("/v1/phones/{device_id}/wipe", &path, &nothing, &nothing)
        .await;

    let told = notification("n1", &token, 1, "approved", None);
    for _ in 0..2 {
        bench.notify(&told).await.unwrap();
    }
    let entries = phone.entries("").await;
    assert_eq!(entries["entries"].as_array().unwrap().len(), 1);
    walk.met("/v1/notifications");

    // Of somebody who asked to be forgotten no answer is kept: asked again, there is nobody who asks.
    let key = fresh_key();
    phone.post("/v1/erasure", &nothing, &key).await.unwrap();
    let again = phone.post("/v1/erasure", &nothing, &key).await;
    assert_eq!(refusal(again), is(401, "session_unknown"));
    walk.met("/v1/erasure");

    assert_eq!(walk.left, BTreeSet::new(), "routes that nobody walked");
}
