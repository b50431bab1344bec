//! A database of the first version, opened by this one.

use sandbox_kit::db::Db;
use sqlx::Row;

use super::users::Known;
use super::{MIGRATIONS, Store};

#[tokio::test]
async fn a_database_of_before_users_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("provider.db");
    let db = Db::open_at(&path, None, &MIGRATIONS[..1]).await.unwrap();
    for statement in [
        "INSERT INTO devices (device_id, device_key, key_store, app_version, enrolled_at, last_seq) VALUES ('dev_AA', X'04', 'software', '0.1.0', '2026-11-01T00:00:00Z', 2), ('dev_BB', X'05', 'tee', '0.1.0', '2026-11-02T00:00:00Z', 0)",
        "INSERT INTO sessions (session_id, device_id, session_key, expires_at) VALUES ('ses_1', 'dev_AA', X'04', 4000000000)",
        "INSERT INTO tokens (token_ref, device_id, at) VALUES ('tok_1', 'dev_AA', '2026-11-03T00:00:00Z')",
        "INSERT INTO notifications (id, token_ref, atc, amount_minor, currency, merchant, result, reason, authorisation, at) VALUES ('n1', 'tok_1', 1, 100, 'CNY', 'M', 'approved', NULL, '123456', '2026-11-04T00:00:00Z')",
        "INSERT INTO entries (device_id, seq, id, token_ref, atc, amount_minor, currency, merchant, result, reason, authorisation, at) VALUES ('dev_AA', 2, 'ent_1', 'tok_1', 1, 100, 'CNY', 'M', 'approved', NULL, '123456', '2026-11-04T00:00:00Z')",
    ] {
        sqlx::raw_sql(statement).execute(db.pool()).await.unwrap();
    }
    db.close().await;

    let store = Store::open(&path, None).await.unwrap();
    let device = store.device_of_session("ses_1").await.unwrap();
    assert_eq!(
        (device.id.as_str(), device.user.as_str()),
        ("dev_AA", "usr_AA")
    );
    let known = store.device("dev_BB").await.unwrap();
    assert!(matches!(known, Some(Known::Active(key)) if key == [5]));
    let entries = store.entries("usr_AA", 0, 10).await.unwrap();
    assert_eq!((entries.len(), entries[0].seq), (1, 2));
    assert!(store.entries("usr_BB", 0, 10).await.unwrap().is_empty());
    assert_eq!(store.ledger().await.unwrap().entries.len(), 1);
    assert_eq!(
        store.tokens("dev_AA").await.unwrap(),
        [("tok_1".to_owned(), "active".to_owned())]
    );
    let phones = store.phones("usr_AA").await.unwrap();
    assert_eq!((phones.len(), phones[0].attested), (1, false));
    let next = sqlx::query("SELECT last_seq FROM users WHERE user_id = 'usr_AA'")
        .fetch_one(store.db().pool())
        .await
        .unwrap();
    assert_eq!(next.try_get::<i64, _>(0).unwrap(), 2);
}
