//! A user's phones: listed, linked, moved, wiped; and the versions that are served.

use crate::common::{Enrolling, bench, fresh_key, is, notification, refusal, session};
use sandbox_kit::client::CallError;
use sandbox_kit::clock;
use sandbox_kit::keys::PartyKey;
use serde_json::{Value, json};

#[tokio::test]
async fn a_phone_learns_where_it_stands() {
    let bench = bench().await;
    let phone = bench.phone().await;
    let (first, second) = (phone.token().await, phone.token().await);
    let stranger = bench.phone().await;
    stranger.token().await;
    let path = format!("/v1/tokens/{second}/state");
    let suspend = json!({ "state": "suspended" });
    phone.post(&path, &suspend, &fresh_key()).await.unwrap();
    let device = phone.get("/v1/device").await.unwrap();
    assert_eq!(
        (&device["device_id"], &device["user_id"]),
        (&json!(phone.id), &json!(phone.user))
    );
    assert!(phone.user.starts_with("usr_"));
    assert_eq!(
        device["tokens"],
        json!([{ "token_ref": first, "state": "active" }, { "token_ref": second, "state": "suspended" }])
    );
    let phones = device["phones"].as_array().unwrap();
    assert_eq!(phones.len(), 1);
    assert_eq!(phones[0]["this"], true);
    assert_eq!(phones[0]["state"], "active");
    assert!(clock::parse(phones[0]["enrolled_at"].as_str().unwrap()).is_some());
    assert_eq!(device["policy"]["minimum_app_version"], "0.0.0");
    assert_eq!(device["password"]["state"], "none");
    assert!(clock::parse(device["server_time"].as_str().unwrap()).is_some());
}

#[tokio::test]
async fn token_states_go_to_the_network_first() {
    let bench = bench().await;
    let phone = bench.phone().await;
    let token = phone.token().await;
    let path = format!("/v1/tokens/{token}/state");
    let set = async |state: &str| {
        let body = json!({ "state": state });
        phone.post(&path, &body, &fresh_key()).await
    };
    let key = fresh_key();
    let body = json!({ "state": "suspended" });
    for _ in 0..2 {
        assert_eq!(
            phone.post(&path, &body, &key).await.unwrap(),
            json!({ "token_ref": token, "state": "suspended" })
        );
    }
    let asked = bench.network.asked.lock().unwrap().clone();
    let order = json!({ "token_ref": token, "device_id": phone.id, "state": "suspended" });
    assert_eq!(asked.iter().filter(|body| **body == order).count(), 1);
    set("active").await.unwrap();
    set("deleted").await.unwrap();
    *bench.network.refuse.lock().unwrap() = Some(sandbox_kit::problem::Problem::new(
        409,
        "token_deleted",
        "Token deleted",
        "Add the card again.",
    ));
    assert_eq!(refusal(set("active").await), is(409, "token_deleted"));
    let device = phone.get("/v1/device").await.unwrap();
    assert_eq!(device["tokens"][0]["state"], "deleted");
    for odd in [json!({ "state": "withdrawn" }), json!({}), json!(7)] {
        assert_eq!(
            refusal(phone.post(&path, &odd, &fresh_key()).await),
            is(422, "request_invalid")
        );
    }
}

#[tokio::test]
async fn another_devices_token_is_unknown_even_to_a_sibling() {
    let bench = bench().await;
    let phone = bench.phone().await;
    let token = phone.token().await;
    let code = phone.link_code("second_phone").await;
    let (sibling, stranger) = (bench.joined(Some(&code)).await, bench.phone().await);
    let path = format!("/v1/tokens/{token}/state");
    let body = json!({ "state": "suspended" });
    for other in [&sibling, &stranger] {
        assert_eq!(
            refusal(other.post(&path, &body, &fresh_key()).await),
            is(404, "token_unknown")
        );
    }
    assert_eq!(
        refusal(
            phone
                .post("/v1/tokens/tok_00000000/state", &body, &fresh_key())
                .await
        ),
        is(404, "token_unknown")
    );
}

#[tokio::test]
async fn a_second_phone_sees_the_whole_statement() {
    let bench = bench().await;
    let first = bench.phone().await;
    let token = first.token().await;
    bench
        .notify(&notification("n1", &token, 1, "approved", None))
        .await
        .unwrap();
    let code = first.link_code("second_phone").await;
    let second = bench.joined(Some(&code)).await;
    assert_eq!(second.user, first.user);
    let other = second.token().await;
    // Counters are per token: the same one under another token is another payment.
    bench
        .notify(&notification("n2", &other, 1, "approved", None))
        .await
        .unwrap();
    let entries = first.entries("").await;
    assert_eq!(entries["entries"].as_array().unwrap().len(), 2);
    assert_eq!(entries["next"], 2);
    assert_eq!(second.entries("").await, entries);
    assert_eq!(bench.phone().await.entries("").await["next"], 0);

    let phones = second.get("/v1/device").await.unwrap()["phones"].clone();
    let phones = phones.as_array().unwrap();
    let this: Vec<(&Value, &Value)> = phones
        .iter()
        .map(|phone| (&phone["device_id"], &phone["this"]))
        .collect();
    assert_eq!(this.len(), 2);
    assert!(this.contains(&(&json!(first.id), &json!(false))));
    assert!(this.contains(&(&json!(second.id), &json!(true))));
}

#[tokio::test]
async fn a_link_code_is_good_once_and_for_those_who_have_it() {
    let bench = bench().await;
    let phone = bench.phone().await;
    let answer = phone
        .post(
            "/v1/link-codes",
            &json!({ "kind": "second_phone" }),
            &fresh_key(),
        )
        .await
        .unwrap();
    let code = answer["code"].as_str().unwrap();
    assert_eq!(code.len(), 16);
    let life = clock::parse(answer["expires_at"].as_str().unwrap())
        .unwrap()
        .unix_timestamp()
        - clock::unix_now();
    assert!((590..=600).contains(&life), "{life}");
    bench.joined(Some(code)).await;
    let enrol = async |code: &str| -> Result<Value, CallError> {
        let enrolling = Enrolling {
            link_code: Some(code),
            ..Enrolling::default()
        };
        bench.enrol(&PartyKey::generate(), &enrolling).await
    };
    for bad in [code, "AAAAAAAAAAAAAAAA"] {
        assert_eq!(refusal(enrol(bad).await), is(403, "link_code_invalid"));
    }
    for odd in ["", "AAAA", "aaaaaaaaaaaaaaaa", "AAAAAAAAAAAAAAA1"] {
        assert_eq!(refusal(enrol(odd).await), is(422, "request_invalid"));
    }
    // The proof covers the code: nobody puts another one into a phone's enrolment.
    let fresh = phone.link_code("second_phone").await;
    let mut request = Enrolling::default().request(&PartyKey::generate(), &bench.challenge().await);
    request["link_code"] = json!(fresh);
    let answer = bench
        .unsigned()
        .post::<_, Value>(&bench.url("/v1/enrolments"), &request, None)
        .await;
    assert_eq!(refusal(answer), is(403, "proof_invalid"));
    bench.joined(Some(&fresh)).await;
    assert_eq!(
        refusal(
            phone
                .post("/v1/link-codes", &json!({ "kind": "third" }), &fresh_key())
                .await
        ),
        is(422, "request_invalid")
    );
}

#[tokio::test]
async fn moving_wipes_the_old_phone_in_the_same_step() {
    let bench = bench().await;
    let old = bench.phone().await;
    let token = old.token().await;
    bench
        .notify(&notification("n1", &token, 1, "approved", None))
        .await
        .unwrap();
    let spare = old.link_code("second_phone").await;
    let code = old.link_code("move").await;
    let new = bench.joined(Some(&code)).await;
    assert_eq!(new.user, old.user);
    assert_eq!(new.entries("").await["next"], 1);
    assert_eq!(
        refusal(old.get("/v1/device").await),
        is(401, "session_unknown")
    );
    assert_eq!(
        refusal(bench.session(&old.key, &old.id).await.map(|_| ())),
        is(410, "device_wiped")
    );
    let deletion = json!({ "token_ref": token, "device_id": old.id, "state": "deleted" });
    assert!(bench.network.asked.lock().unwrap().contains(&deletion));
    // What the old phone had given out is void.
    let enrolling = Enrolling {
        link_code: Some(&spare),
        ..Enrolling::default()
    };
    assert_eq!(
        refusal(bench.enrol(&PartyKey::generate(), &enrolling).await),
        is(403, "link_code_invalid")
    );
    let phones = new.get("/v1/device").await.unwrap()["phones"].clone();
    let states: Vec<&Value> = phones
        .as_array()
        .unwrap()
        .iter()
        .map(|phone| &phone["state"])
        .collect();
    assert!(states.contains(&&json!("wiped")) && states.contains(&&json!("active")));
}

#[tokio::test]
async fn a_lost_phone_is_wiped_by_another_of_the_same_user() {
    let bench = bench().await;
    let lost = bench.phone().await;
    let (one, two) = (lost.token().await, lost.token().await);
    let code = lost.link_code("second_phone").await;
    let finder = bench.joined(Some(&code)).await;
    let path = format!("/v1/phones/{}/wipe", lost.id);
    let stranger = bench.phone().await;
    for unknown in [path.as_str(), "/v1/phones/dev_00000000/wipe"] {
        assert_eq!(
            refusal(stranger.post(unknown, &json!({}), &fresh_key()).await),
            is(404, "phone_unknown")
        );
    }
    for _ in 0..2 {
        assert_eq!(
            finder.post(&path, &json!({}), &fresh_key()).await.unwrap(),
            json!({ "device_id": lost.id, "state": "wiped" })
        );
    }
    let asked = bench.network.asked.lock().unwrap().clone();
    for token in [one, two] {
        let order = json!({ "token_ref": token, "device_id": lost.id, "state": "deleted" });
        assert_eq!(asked.iter().filter(|body| **body == order).count(), 1);
    }
    assert_eq!(
        refusal(lost.get("/v1/entries").await),
        is(401, "session_unknown")
    );
    // Whoever has no key of the phone is not told that it was wiped.
    assert_eq!(
        refusal(
            bench
                .session(&PartyKey::generate(), &lost.id)
                .await
                .map(|_| ())
        ),
        is(403, "proof_invalid")
    );
    assert_eq!(
        refusal(bench.session(&lost.key, &lost.id).await.map(|_| ())),
        is(410, "device_wiped")
    );
    assert_eq!(
        refusal(
            finder
                .post(&path, &json!({ "now": true }), &fresh_key())
                .await
        ),
        is(422, "request_invalid")
    );
}

#[tokio::test]
async fn a_phone_can_wipe_itself_while_the_network_is_away_and_the_tokens_follow() {
    let bench = bench().await;
    let phone = bench.phone().await;
    let token = phone.token().await;
    let refuse = |problem| *bench.network.refuse.lock().unwrap() = problem;
    refuse(Some(sandbox_kit::problem::Problem::internal()));
    let path = format!("/v1/phones/{}/wipe", phone.id);
    phone.post(&path, &json!({}), &fresh_key()).await.unwrap();
    assert_eq!(
        refusal(bench.session(&phone.key, &phone.id).await.map(|_| ())),
        is(410, "device_wiped")
    );
    refuse(None);
    let order = json!({ "token_ref": token, "device_id": phone.id, "state": "deleted" });
    bench.network.asked.lock().unwrap().clear();
    let background = bench.provider.start();
    bench.asked_for(&order).await;
    drop(background);
}

#[tokio::test]
async fn a_token_that_is_issued_to_a_wiped_phone_is_deleted_again() {
    let bench = bench().await;
    let phone = bench.phone().await;
    let code = phone.link_code("second_phone").await;
    let finder = bench.joined(Some(&code)).await;
    let challenge = phone.card_challenge().await;
    let path = format!("/v1/cards/{challenge}/verify");
    let body = phone.verification(&challenge);
    // The network takes its time over the token, the phone is wiped meanwhile.
    let held = bench.network.hold();
    let key = fresh_key();
    let wipe = async {
        bench.network.reached().await;
        let wipe = format!("/v1/phones/{}/wipe", phone.id);
        finder.post(&wipe, &json!({}), &fresh_key()).await.unwrap();
        drop(held);
    };
    let (answer, ()) = tokio::join!(phone.post(&path, &body, &key), wipe);
    assert_eq!(refusal(answer), is(410, "device_wiped"));
    let asked = bench.network.asked.lock().unwrap().clone();
    let last = asked.last().unwrap();
    assert_eq!(
        (&last["state"], &last["device_id"]),
        (&json!("deleted"), &json!(phone.id))
    );
}

#[tokio::test]
async fn an_app_that_is_too_old_is_told_what_is_served() {
    let bench = crate::common::bench_on_file().await;
    let phone = bench.phone().await;
    let change = json!({ "minimum_app_version": "1.10.0" });
    let policy = sandbox_provider::desk::set_policy(bench.folder.path(), &change)
        .await
        .unwrap();
    assert_eq!(policy.minimum_app_version, "1.10.0");
    // The open session goes on; its phone can read what it must become.
    let device = phone.get("/v1/device").await.unwrap();
    assert_eq!(device["policy"]["minimum_app_version"], "1.10.0");
    let open = async |version: &str| -> Result<Value, CallError> {
        let hour = clock::text_in(std::time::Duration::from_secs(3600));
        let mut request = session(&phone.key, &phone.id, &PartyKey::generate(), &hour);
        request["app_version"] = json!(version);
        bench
            .unsigned()
            .post(&bench.url("/v1/sessions"), &request, None)
            .await
    };
    for old in ["0.1.0", "1.9.9", "1.10.0-rc.1", "odd"] {
        match open(old).await.unwrap_err() {
            CallError::Refused(problem) => {
                assert_eq!(
                    (problem.status, problem.code.as_str()),
                    (426, "version_too_old")
                );
                assert_eq!(problem.extra["minimum_version"], "1.10.0");
            }
            other => panic!("{other}"),
        }
    }
    for served in ["1.10.0", "1.10.1", "2"] {
        open(served).await.unwrap();
    }
    for odd in ["", "1.0/0"] {
        assert_eq!(refusal(open(odd).await), is(422, "request_invalid"));
    }
    let back = json!({ "minimum_app_version": null });
    sandbox_provider::desk::set_policy(bench.folder.path(), &back)
        .await
        .unwrap();
    open("0.0.1").await.unwrap();
}
