//! The payment password as a phone meets it.

use opaque_ke::{ClientLogin, ClientRegistration};
use rand_core::OsRng;
use sandbox_kit::bind::bind;
use sandbox_kit::bytes::{from_hex, to_hex};
use sandbox_kit::problem::Problem;
use sandbox_provider::Provider;
use serde_json::{Value, json};
use sqlx::Row;

use crate::common::{Bench, Phone, bench, bench_on_file, fresh_key, is, refusal};
use crate::opaque::{PASSWORD, Suite, WRONG, beside, by_password, run, set, tries_in, unhex};

#[tokio::test]
async fn a_password_is_set_used_and_changed() {
    let bench = bench().await;
    let phone = bench.phone().await;
    assert_eq!(phone.password().await, ("none".to_owned(), 0));
    assert_eq!(
        refusal(phone.try_login(PASSWORD).await.map(|_| ())),
        is(409, "password_not_set")
    );
    assert_eq!(
        phone.set_password(PASSWORD, Value::Null).await.unwrap(),
        json!({ "state": "set" })
    );
    assert_eq!(phone.password().await, set(5));
    assert_eq!(
        refusal(phone.set_password(WRONG, Value::Null).await),
        is(409, "password_set_already")
    );
    let answer = phone.pay().await.unwrap();
    assert!(
        answer["confirmation_id"]
            .as_str()
            .unwrap()
            .starts_with("cnf_")
    );

    // Changed with the old one, for this upload and no other.
    let (upload, other) = (
        phone.registration("new one").await,
        phone.registration(WRONG).await,
    );
    let change = |upload: &[u8]| bind("tapcore-password-change-v1", &[phone.id.as_bytes(), upload]);
    let login = phone.login().await;
    assert_eq!(
        refusal(phone.upload(&other, login.over(&change(&upload))).await),
        is(403, "confirmation_invalid")
    );
    let (login, open) = (phone.login().await, phone.login().await);
    let upload = phone.registration("new one").await;
    phone
        .upload(&upload, login.over(&change(&upload)))
        .await
        .unwrap();
    // What was begun under the old one is over.
    let key = fresh_key();
    let late = by_password(&open, &phone.bound(1250, "CNY", "Mapo Tofu House", &key));
    assert_eq!(
        refusal(phone.confirm(&late, &key).await),
        is(410, "login_over")
    );
    assert!(phone.try_login(PASSWORD).await.unwrap().is_none());
    assert!(phone.try_login("new one").await.unwrap().is_some());
    // The registration went with the password.
    assert_eq!(
        refusal(phone.upload(&upload, Value::Null).await),
        is(409, "password_set_already")
    );
}

#[tokio::test]
async fn s32_tries_survive_a_restart_and_a_new_enrolment() {
    let mut bench = bench().await;
    let phone = bench.phone().await;
    phone.set_password(PASSWORD, Value::Null).await.unwrap();
    phone.guess().await;
    phone.guess().await;
    assert_eq!(phone.password().await, set(3));
    let (id, user) = (phone.id.clone(), phone.user.clone());
    let (key, client) = (phone.key.clone(), phone.client.clone());
    bench.restart().await;
    let phone = Phone {
        bench: &bench,
        id,
        user,
        key,
        client,
    };
    assert_eq!(phone.password().await, set(3));
    phone.guess().await;
    // The app taken off and installed again, as another phone of the same user.
    let code = phone.link_code("move").await;
    let again = bench.joined(Some(&code)).await;
    assert_eq!(again.user, phone.user);
    assert_eq!(again.password().await, set(2));
    again.guess().await;
    // The last one, and it is right: all of them come back, for every phone of the user.
    assert_eq!(again.login().await.tries_left, 0);
    assert_eq!(
        refusal(again.try_login(PASSWORD).await.map(|_| ())),
        is(403, "password_locked")
    );
    assert_eq!(again.password().await, ("locked".to_owned(), 0));
}

#[tokio::test]
async fn s32_a_try_is_spent_before_ke2() {
    let bench = bench_on_file().await;
    let phone = bench.phone().await;
    phone.set_password(PASSWORD, Value::Null).await.unwrap();
    let db = beside(&bench).await;
    // A try that cannot be written down is not given.
    run(&db, "CREATE TRIGGER no_spending BEFORE UPDATE OF tries_left ON passwords BEGIN SELECT RAISE(ABORT, 'full'); END").await;
    assert_eq!(
        refusal(phone.try_login(PASSWORD).await.map(|_| ())),
        is(500, "internal")
    );
    run(&db, "DROP TRIGGER no_spending").await;
    assert_eq!(tries_in(&db).await, 5);
    // Killed between the commit and the answer: the try is lost, the second message was never seen.
    run(&db, "CREATE TRIGGER killed BEFORE INSERT ON kit_answers BEGIN SELECT RAISE(ABORT, 'killed'); END").await;
    assert_eq!(
        refusal(phone.try_login(PASSWORD).await.map(|_| ())),
        is(500, "internal")
    );
    run(&db, "DROP TRIGGER killed").await;
    assert_eq!(tries_in(&db).await, 4);
    // Once the second message is here, the try is gone in the file.
    let login = phone.login().await;
    assert_eq!((login.tries_left, tries_in(&db).await), (3, 3));
    // The answer got lost: asked for again it is the same, and costs nothing.
    let (key, client) = (
        fresh_key(),
        ClientLogin::<Suite>::start(&mut OsRng, b"x").unwrap(),
    );
    let body = json!({ "ke1": to_hex(&client.message.serialize()) });
    let path = "/v1/payment-password/logins";
    let first = phone.post(path, &body, &key).await.unwrap();
    assert_eq!(phone.post(path, &body, &key).await.unwrap(), first);
    assert_eq!(tries_in(&db).await, 2);
    // A message that nobody could answer costs nothing either.
    let no_point = json!({ "ke1": format!("02{}", "FF".repeat(97)) });
    for odd in [no_point, json!({ "ke1": "02" })] {
        assert_eq!(
            refusal(phone.post(path, &odd, &fresh_key()).await),
            is(422, "request_invalid")
        );
    }
    assert_eq!(tries_in(&db).await, 2);
}

#[tokio::test]
async fn s32_too_many_wrong_tries_lock_and_a_card_unlocks() {
    let bench = bench().await;
    let phone = bench.phone().await;
    let token = phone.token().await;
    phone.set_password(PASSWORD, Value::Null).await.unwrap();
    for _ in 0..4 {
        phone.guess().await;
    }
    // A right one gives all of them back.
    phone.pay().await.unwrap();
    assert_eq!(phone.password().await, set(5));
    for _ in 0..5 {
        phone.guess().await;
    }
    for password in [WRONG, PASSWORD] {
        assert_eq!(
            refusal(phone.try_login(password).await.map(|_| ())),
            is(403, "password_locked")
        );
    }
    let reset = phone.begin_reset().await.unwrap();
    assert_eq!(
        (&reset["masked"], &reset["bank"], &reset["tries_left"]),
        (&json!("…0015"), &json!("bank-a"), &json!(3))
    );
    let asked = bench.network.asked.lock().unwrap().last().cloned().unwrap();
    assert_eq!(
        (&asked["device_id"], &asked["token_refs"]),
        (&json!(phone.id), &json!([token]))
    );
    let right = json!({ "reset_id": reset["reset_id"] });
    assert_eq!(
        refusal(phone.set_password("forgot", right.clone()).await),
        is(403, "reset_invalid")
    );
    phone.verify_reset(&reset, "493817").await.unwrap();
    phone.set_password("forgot", right.clone()).await.unwrap();
    assert_eq!(phone.password().await, set(5));
    assert!(phone.try_login("forgot").await.unwrap().is_some());
    // Good once.
    assert_eq!(
        refusal(phone.set_password(PASSWORD, right).await),
        is(403, "reset_invalid")
    );
}

#[tokio::test]
async fn only_an_own_card_of_some_age_resets() {
    let bench = bench_on_file().await;
    let (phone, stranger) = (bench.phone().await, bench.phone().await);
    phone.set_password(PASSWORD, Value::Null).await.unwrap();
    let not_yours = is(403, "card_not_yours");
    assert_eq!(refusal(phone.begin_reset().await), not_yours);
    // Added after the password was set: it may be a thief's, who has the phone unlocked in hand.
    phone.token().await;
    let db = beside(&bench).await;
    run(&db, "UPDATE tokens SET at = '2999-01-01T00:00:00Z'").await;
    assert_eq!(refusal(phone.begin_reset().await), not_yours);
    run(&db, "UPDATE tokens SET at = '2020-01-01T00:00:00Z'").await;
    let reset = phone.begin_reset().await.unwrap();
    assert_eq!(
        refusal(stranger.verify_reset(&reset, "493817").await),
        is(404, "reset_unknown")
    );
    assert_eq!(
        refusal(phone.verify_reset(&reset, "49381x").await),
        is(422, "request_invalid")
    );
    // The bank knows the card, and it is none of this user's.
    assert_eq!(
        refusal(phone.verify_reset(&reset, "000000").await),
        not_yours
    );
    let wrong = Problem::new(403, "sms_code_wrong", "Wrong SMS code", "Type it again.");
    *bench.network.refuse.lock().unwrap() = Some(wrong.with("tries_left", 2));
    assert_eq!(
        refusal(phone.verify_reset(&reset, "493817").await),
        is(403, "sms_code_wrong")
    );
    *bench.network.refuse.lock().unwrap() = None;
    let right = json!({ "reset_id": reset["reset_id"] });
    assert_eq!(
        refusal(phone.set_password("forgot", right.clone()).await),
        is(403, "reset_invalid")
    );
    phone.verify_reset(&reset, "493817").await.unwrap();
    assert_eq!(
        refusal(stranger.set_password("forgot", right).await),
        is(403, "reset_invalid")
    );
    for _ in 0..9 {
        phone.begin_reset().await.unwrap();
    }
    assert_eq!(
        refusal(phone.begin_reset().await),
        is(429, "resets_used_up")
    );
}

/// Under one key for all registrations this route would tell for any guess what the record was made with.
#[tokio::test]
async fn s32_registrations_evaluate_no_guesses() {
    let bench = bench().await;
    let phone = bench.phone().await;
    phone.set_password(PASSWORD, Value::Null).await.unwrap();
    let client = ClientRegistration::<Suite>::start(&mut OsRng, PASSWORD.as_bytes()).unwrap();
    let body = json!({ "request": to_hex(&client.message.serialize()) });
    let path = "/v1/payment-password/registrations";
    let key = fresh_key();
    let first = phone.post(path, &body, &key).await.unwrap();
    assert_eq!(phone.post(path, &body, &key).await.unwrap(), first);
    let second = phone.post(path, &body, &fresh_key()).await.unwrap();
    let (first, second) = (unhex(&first["response"]), unhex(&second["response"]));
    assert_ne!(first[..33], second[..33]);
    assert_eq!(first[33..], second[33..]);
    // A login's evaluation is none of them.
    let mut ke1 = client.message.serialize().to_vec();
    ke1.extend_from_slice(&phone.login().await.ke1[33..]);
    let answer = phone
        .post(
            "/v1/payment-password/logins",
            &json!({ "ke1": to_hex(&ke1) }),
            &fresh_key(),
        )
        .await
        .unwrap();
    let evaluated = unhex(&answer["ke2"])[..33].to_vec();
    assert!(evaluated != first[..33] && evaluated != second[..33]);
}

#[tokio::test]
async fn s32_neither_password_nor_session_key_is_stored() {
    let bench = bench_on_file().await;
    let phone = bench.phone().await;
    phone.set_password(PASSWORD, Value::Null).await.unwrap();
    let (login, key) = (phone.login().await, fresh_key());
    let method = by_password(&login, &phone.bound(1250, "CNY", "Mapo Tofu House", &key));
    phone.confirm(&method, &key).await.unwrap();
    let open = phone.login().await;
    let seed = std::fs::read_to_string(bench.folder.path().join("password.key")).unwrap();
    let seed = from_hex(seed.trim()).unwrap();
    let mut secrets = vec![PASSWORD.as_bytes().to_vec()];
    // Seed and private key of the setup; its public keys may be seen.
    secrets.extend([seed[..32].to_vec(), seed[32..64].to_vec()]);
    for login in [login, open] {
        secrets.extend([login.ke1, login.ke2, login.ke3, login.key]);
    }
    for entry in std::fs::read_dir(bench.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("provider.db") {
            continue;
        }
        let file = std::fs::read(&path).unwrap();
        let upper = file.to_ascii_uppercase();
        for secret in &secrets {
            let text = to_hex(secret);
            let raw = file.windows(secret.len()).any(|bytes| bytes == secret);
            let hex = upper
                .windows(text.len())
                .any(|bytes| bytes == text.as_bytes());
            assert!(!raw && !hex, "{name} holds {text}");
        }
    }
}

#[tokio::test]
async fn the_setup_is_a_file_of_its_own_and_must_be_the_right_one() {
    let mut bench = bench_on_file().await;
    let path = bench.folder.path().join("password.key");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    bench.restart().await;
    bench.provider.close().await;
    let kept = std::fs::read(&path).unwrap();
    let failure = async |bench: &Bench| {
        let opened = Provider::open((bench.config)()).await;
        opened.err().unwrap().to_string()
    };
    std::fs::remove_file(&path).unwrap();
    assert!(failure(&bench).await.contains("is gone"));
    assert!(!path.exists());
    std::fs::write(&path, "nonsense").unwrap();
    assert!(failure(&bench).await.contains("holds no setup"));
    // Somebody else's.
    let other = crate::common::bench_on_file().await;
    std::fs::copy(other.folder.path().join("password.key"), &path).unwrap();
    assert!(failure(&bench).await.contains("is not the one"));
    std::fs::write(&path, kept).unwrap();
    bench.restart().await;
}

#[tokio::test]
async fn a_person_sees_all_of_it_and_can_have_it_forgotten() {
    let bench = bench_on_file().await;
    let phone = bench.phone().await;
    phone.token().await;
    phone.set_password(PASSWORD, Value::Null).await.unwrap();
    phone.registration(WRONG).await;
    phone.begin_reset().await.unwrap();
    let parts: [&[u8]; 2] = [phone.id.as_bytes(), &phone.key.public()];
    let proof = phone.key.sign(&bind("tapcore-confirmation-key-v1", &parts));
    let body = json!({ "public_key": phone.key.public_hex(), "proof": to_hex(&proof) });
    phone
        .post("/v1/confirmation-key", &body, &fresh_key())
        .await
        .unwrap();
    phone.pay().await.unwrap();
    let export = phone.get("/v1/export").await.unwrap();
    assert_eq!(export["payment_password"][0]["tries_left"], 5);
    assert_eq!(export["confirmations"][0]["payee"], "Mapo Tofu House");
    assert_eq!(
        export["confirmation_keys"][0]["public_key"],
        phone.key.public_hex()
    );
    assert_eq!(export["password_resets"].as_array().unwrap().len(), 1);
    phone
        .post("/v1/erasure", &json!({}), &fresh_key())
        .await
        .unwrap();
    let db = beside(&bench).await;
    for table in [
        "SELECT COUNT(*) FROM passwords",
        "SELECT COUNT(*) FROM password_registrations",
        "SELECT COUNT(*) FROM password_resets",
        "SELECT COUNT(*) FROM confirmation_keys",
        "SELECT COUNT(*) FROM confirmations",
    ] {
        let row = sqlx::query(table).fetch_one(&db).await.unwrap();
        assert_eq!(row.try_get::<i64, _>(0).unwrap(), 0, "{table}");
    }
}
