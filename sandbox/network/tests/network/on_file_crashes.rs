//! Crashes at every write of a payment that the provider asks for, and of its reversal: asked again, the network gives one
//! answer, and its books and the bank's hold what it says, once.
//!
//! A crash is played in the database: from the n-th write on a trigger refuses all of them, so that what was not
//! committed before never is, and then the network is opened again on the file.

use std::time::Duration;

use sandbox_kit::ledger::Ledger;
use sandbox_network::on_file::{OnFileQuery, ReversalQuery};
use sqlx::{AnyPool, AssertSqlSafe};

use crate::common::{GOOD, Here};
use crate::on_file::{payment, undo};

/// What is done when the machine stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Pay,
    /// What was paid is taken back.
    Undo,
    /// What has not come yet is taken back.
    UndoFirst,
}

/// What the provider asks when the machine is back; whatever it is, it asks for the payment in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Pay,
    Undo,
}

async fn arm(db: &AnyPool, writes: Option<i64>) {
    sqlx::query("UPDATE crash SET armed = $1, writes = $2")
        .bind(i64::from(writes.is_some()))
        .bind(writes.unwrap_or_default())
        .execute(db)
        .await
        .unwrap();
}

/// Does a step up to the crash; `false` when it came to its end before.
async fn crashes(
    here: &Here,
    db: &AnyPool,
    (step, writes): (Step, i64),
    (query, reversal): (&OnFileQuery, &ReversalQuery),
) -> bool {
    if step == Step::Undo {
        here.network.authorise_on_file(query).await.unwrap();
    }
    arm(db, Some(writes)).await;
    let answer = match step {
        Step::Pay => here.network.authorise_on_file(query).await,
        Step::Undo | Step::UndoFirst => here.network.reverse_on_file(reversal).await,
    };
    arm(db, None).await;
    answer.is_err()
}

/// How often a payment moved money and how often money went back.
fn moves(ledger: &Ledger, reference: &str) -> (usize, usize) {
    let count = |kind: &str| {
        let lines = ledger.entries.iter().filter(|line| {
            line.reference == reference && line.kind == kind && !line.debit.is_empty()
        });
        lines.count()
    };
    (count("payment"), count("reversal"))
}

#[tokio::test]
async fn whatever_crashes_a_payment_is_booked_once_or_taken_back() {
    let mut here = Here::new().await;
    let phone = here.card(GOOD).await;
    let db = here.database().await;
    let run = async |sql: String| {
        let sql = AssertSqlSafe(sql);
        sqlx::raw_sql(sql).execute(&db).await.unwrap();
    };
    run("CREATE TABLE crash (armed BIGINT, writes BIGINT)".to_owned()).await;
    run("INSERT INTO crash VALUES (0, 0)".to_owned()).await;
    // What the outbox does with messages that are in it goes on beside.
    for what in [
        "INSERT ON authorisations",
        "UPDATE ON authorisations",
        "INSERT ON journal",
        "INSERT ON legs",
        "INSERT ON positions",
        "UPDATE ON positions",
        "UPDATE ON counters",
        "INSERT ON outbox",
    ] {
        let name = what.replace(' ', "_");
        run(format!("CREATE TRIGGER crash_{name} BEFORE {what} WHEN (SELECT armed FROM crash) = 1 BEGIN UPDATE crash SET writes = writes - 1; SELECT RAISE(ABORT, 'crashed') FROM crash WHERE writes < 0; END")).await;
    }
    let (mut cases, mut crashed_cases) = (0, 0);
    for (step, next) in [
        (Step::Pay, Next::Pay),
        (Step::Pay, Next::Undo),
        (Step::Undo, Next::Pay),
        (Step::Undo, Next::Undo),
        (Step::UndoFirst, Next::Pay),
        (Step::UndoFirst, Next::Undo),
    ] {
        for writes in 0.. {
            let case = (step, writes);
            let (query, reversal) = (
                payment(&phone, &format!("cpy_{cases}"), 1),
                undo(&format!("cpy_{cases}")),
            );
            let crashed = crashes(&here, &db, case, (&query, &reversal)).await;
            here.restart().await;
            if next == Next::Undo {
                here.network.reverse_on_file(&reversal).await.unwrap();
            }
            let end = here.network.authorise_on_file(&query).await.unwrap();
            let again = here.network.authorise_on_file(&query).await.unwrap();
            assert_eq!(again, end, "{case:?} {next:?}");
            let approved = end.result == "approved";
            match (step, next) {
                (Step::Pay, Next::Pay) => assert!(approved, "{case:?}"),
                (_, Next::Undo) => assert!(!approved, "{case:?}"),
                // A reversal that never was is no reversal.
                _ => assert_eq!(approved, crashed, "{case:?}"),
            }
            books_say(&here, &end.network_ref, approved).await;
            cases += 1;
            crashed_cases += usize::from(crashed);
            if !crashed {
                break;
            }
        }
    }
    println!(
        "{cases} cases, {crashed_cases} of them crashes, each payment booked once or taken back"
    );
    assert!(crashed_cases > 30);
}

/// Both books hold a payment once if it was approved, and nothing of it otherwise, as soon as the bank has its mail.
async fn books_say(here: &Here, reference: &str, approved: bool) {
    let mut seen = Vec::new();
    for _ in 0..400 {
        let network = here.network.ledger().await.unwrap();
        let bank = here.bank.ledger().await.unwrap();
        assert!(network.balanced && bank.balanced);
        seen = vec![moves(&network, reference), moves(&bank, reference)];
        let right = seen.iter().all(|(paid, back)| {
            assert!(*paid <= 1 && back <= paid, "{seen:?}");
            paid - back == usize::from(approved)
        });
        if right {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{seen:?}");
}
