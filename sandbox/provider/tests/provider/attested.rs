//! Key attestation over the wire: what a phone with key hardware must bring, and what is refused by which code.

use crate::common::{Attest, Enrolling, bench, is, refusal};
use sandbox_kit::client::CallError;
use sandbox_kit::keys::PartyKey;
use sandbox_kit::maker::{self, Level};
use serde_json::{Value, json};

fn claiming<'a>(key_store: &'a str, attest: &'a Attest) -> Enrolling<'a> {
    Enrolling {
        key_store,
        attest,
        ..Enrolling::default()
    }
}

fn of_tee(key: &PartyKey, challenge: &[u8]) -> Vec<Vec<u8>> {
    maker::attest(&key.public(), challenge, Level::Tee)
}

#[tokio::test]
async fn s03_an_attested_phone_is_marked_proven() {
    let bench = bench().await;
    let key = PartyKey::generate();
    for (key_store, attest, attested) in [
        ("tee", &of_tee as &Attest, true),
        ("software", &|_: &PartyKey, _: &[u8]| Vec::new(), false),
        (
            "secure_enclave",
            &|_: &PartyKey, _: &[u8]| Vec::new(),
            false,
        ),
        (
            "software",
            &|key: &PartyKey, challenge: &[u8]| {
                maker::attest(&key.public(), challenge, Level::Software)
            },
            true,
        ),
        (
            "strongbox",
            &|key: &PartyKey, challenge: &[u8]| {
                maker::attest(&key.public(), challenge, Level::StrongBox)
            },
            true,
        ),
    ] {
        let answer = bench
            .enrol(&key, &claiming(key_store, attest))
            .await
            .unwrap();
        let client = bench
            .session(&key, answer["device_id"].as_str().unwrap())
            .await
            .unwrap();
        let device: Value = client.get(&bench.url("/v1/device")).await.unwrap();
        let phone = &device["phones"][0];
        assert_eq!(
            (&phone["key_store"], &phone["attested"]),
            (&json!(key_store), &json!(attested))
        );
    }
}

#[tokio::test]
async fn s03_what_proves_nothing_is_refused_by_its_code() {
    let bench = bench().await;
    let refused = async |key_store: &str, attest: &Attest| {
        let answer: Result<Value, CallError> = bench
            .enrol(&PartyKey::generate(), &claiming(key_store, attest))
            .await;
        refusal(answer)
    };
    for hardware in ["tee", "strongbox"] {
        let code = refused(hardware, &|_, _| Vec::new()).await;
        assert_eq!(code, is(403, "attestation_missing"));
    }
    let invalid = is(403, "attestation_invalid");
    // The challenge of before, another key, another level, a level that has no such chains.
    let stale = refused("tee", &|key, _| of_tee(key, &[7; 32])).await;
    assert_eq!(stale, invalid);
    let other_key = refused("tee", &|_, challenge| {
        of_tee(&PartyKey::generate(), challenge)
    })
    .await;
    assert_eq!(other_key, invalid);
    for level in ["strongbox", "software", "secure_enclave"] {
        assert_eq!(refused(level, &of_tee).await, invalid, "{level}");
    }
    // A broken signature, no root, another order, no certificates at all.
    let broken = refused("tee", &|key, challenge| {
        let mut chain = of_tee(key, challenge);
        if let Some(last) = chain[0].last_mut() {
            *last ^= 1;
        }
        chain
    })
    .await;
    assert_eq!(broken, invalid);
    let alone = refused("tee", &|key, challenge| {
        of_tee(key, challenge)[..1].to_vec()
    })
    .await;
    assert_eq!(alone, invalid);
    let garbage = refused("software", &|_, _| vec![vec![0x30, 0x03, 2, 1, 1]]).await;
    assert_eq!(garbage, invalid);
    // A chain of another form is another mistake.
    let nine = refused("tee", &|_, _| vec![vec![0x30]; 9]).await;
    assert_eq!(nine, is(422, "request_invalid"));
    let long = refused("tee", &|_, _| vec![vec![0x30; 8193]]).await;
    assert_eq!(long, is(422, "request_invalid"));
    let empty = refused("tee", &|_, _| vec![Vec::new()]).await;
    assert_eq!(empty, is(422, "request_invalid"));
}

#[tokio::test]
async fn s03_a_chain_is_bound_by_the_proof_and_good_for_one_challenge() {
    let bench = bench().await;
    let (client, url) = (bench.unsigned(), bench.url("/v1/enrolments"));
    let post = async |body: &Value| refusal(client.post::<_, Value>(&url, body, None).await);
    let key = PartyKey::generate();
    let challenge = bench.challenge().await;
    let mut request = claiming("tee", &of_tee).request(&key, &challenge);
    let good = request["attestation"].clone();
    request["attestation"] = json!([good[0], good[1]]);
    assert_eq!(post(&request).await, is(403, "proof_invalid"));
    request["attestation"] = good;
    assert_eq!(post(&request).await, is(403, "challenge_invalid"));
    // The chain of one enrolment is worth nothing in the next.
    let next = bench.challenge().await;
    let old = maker::attest(
        &key.public(),
        &sandbox_kit::bytes::from_hex(&challenge).unwrap(),
        Level::Tee,
    );
    let replayed = claiming("tee", &move |_, _| old.clone()).request(&key, &next);
    assert_eq!(post(&replayed).await, is(403, "attestation_invalid"));
}
