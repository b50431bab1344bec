//! Crashes at every write of a payment by code, while the network answers, is not heard or hears nothing. Whatever till
//! and phone do next, the order ends paid once or not at all, the network's books say so as well, and the code pays for
//! nothing else.
//!
//! A crash is played in the database: from the n-th write on a trigger refuses all of them, so that what was not
//! committed before never is, and then another provider opens the file. `TAPCORE_SWEEP=full` sweeps every combination;
//! without it, what comes next takes turns.

use std::time::Duration;

use sandbox_kit::client::{CallError, Client};
use sandbox_kit::keys::PartyKey;
use serde_json::{Value, json};
use sqlx::{AnyPool, AssertSqlSafe, Row};

use crate::codes::{Codes, lenient};
use crate::codes_shops::text;
use crate::common::{Bench, Phone, bench_with};
use crate::merchants::{code_of, wish};
use crate::network::Line;
use crate::opaque::{PASSWORD, beside, run};

const FREE: i64 = 100;
/// Above what is free.
const DEAR: i64 = 200_000;

/// What is done when the machine stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A code is scanned that needs no password.
    Scan,
    /// One is scanned that does.
    ScanDear,
    /// A second one is scanned while the first waits for the password.
    Replace,
    /// A shop's code is paid.
    Shop,
    /// The password is typed.
    Confirm,
    /// What is paid is revoked.
    RevokePaid,
    /// What waits for a password is revoked.
    RevokeWaiting,
    /// What nobody has scanned is revoked.
    RevokeUnseen,
}

/// What till and phone do when the machine is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Nothing,
    /// The till asks again with the same code, or the phone about the shop's …
    SameCode,
    /// … or with a fresh one …
    FreshCode,
    /// … or revokes.
    Revoke,
    /// The person types the password, if it is waited for.
    Type,
}

const STEPS: [Step; 8] = [
    Step::Scan,
    Step::ScanDear,
    Step::Replace,
    Step::Shop,
    Step::Confirm,
    Step::RevokePaid,
    Step::RevokeWaiting,
    Step::RevokeUnseen,
];
const LINES: [Line; 3] = [Line::Up, Line::Lost, Line::Away];
const NEXTS: [Next; 5] = [
    Next::Nothing,
    Next::SameCode,
    Next::FreshCode,
    Next::Revoke,
    Next::Type,
];

impl Step {
    fn amount(self) -> i64 {
        match self {
            Self::Scan | Self::Shop | Self::RevokePaid | Self::RevokeUnseen => FREE,
            Self::ScanDear | Self::Replace | Self::Confirm | Self::RevokeWaiting => DEAR,
        }
    }

    fn revokes(self) -> bool {
        matches!(
            self,
            Self::RevokePaid | Self::RevokeWaiting | Self::RevokeUnseen
        )
    }
}

/// A provider that crashes again and again, and a phone that outlives it.
struct Sweep {
    bench: Bench,
    id: String,
    user: String,
    key: PartyKey,
    client: Client,
    token: String,
    codes: Codes,
    db: AnyPool,
    orders: usize,
}

/// One combination, for messages.
#[derive(Clone, Copy, Debug)]
struct Case {
    step: Step,
    line: Line,
    /// The writes that come through before the crash.
    writes: i64,
    next: Next,
}

impl Sweep {
    async fn new() -> Self {
        let bench = bench_with(None, lenient()).await;
        let db = beside(&bench).await;
        run(&db, "CREATE TABLE crash (armed BIGINT, writes BIGINT)").await;
        run(&db, "INSERT INTO crash VALUES (0, 0)").await;
        for table in [
            "code_aliases",
            "code_payments",
            "code_entries",
            "users",
            "confirmations",
            "kit_answers",
        ] {
            for what in ["INSERT", "UPDATE", "DELETE"] {
                let trigger = format!(
                    "CREATE TRIGGER crash_{table}_{what} BEFORE {what} ON {table} WHEN (SELECT armed FROM crash) = 1 BEGIN UPDATE crash SET writes = writes - 1; SELECT RAISE(ABORT, 'crashed') FROM crash WHERE writes < 0; END"
                );
                let trigger = AssertSqlSafe(trigger);
                sqlx::raw_sql(trigger).execute(&db).await.unwrap();
            }
        }
        let (id, user, key, client, token, codes) = {
            let phone = bench.phone().await;
            phone.set_password(PASSWORD, Value::Null).await.unwrap();
            let token = phone.token().await;
            let codes = phone.codes(&[], &[&token]).await.unwrap();
            let Phone {
                id,
                user,
                key,
                client,
                ..
            } = phone;
            (id, user, key, client, token, codes)
        };
        Self {
            bench,
            id,
            user,
            key,
            client,
            token,
            codes,
            db,
            orders: 0,
        }
    }

    fn phone(&self) -> Phone<'_> {
        Phone {
            bench: &self.bench,
            id: self.id.clone(),
            user: self.user.clone(),
            key: self.key.clone(),
            client: self.client.clone(),
        }
    }

    /// Two aliases that were not shown yet, by their place.
    async fn two(&mut self) -> [usize; 2] {
        self.codes.aliases.truncate(self.codes.aliases.len() & !1);
        if self.codes.aliases.len() < 2 {
            // Days pass: no phone is given as many in one as a sweep takes.
            let rested = "UPDATE code_aliases SET free_at = 1 WHERE state <> 'live'";
            run(&self.db, rested).await;
            self.codes = self.phone().codes(&[], &[&self.token]).await.unwrap();
        }
        let last = self.codes.aliases.len();
        [last - 2, last - 1]
    }

    async fn number(&self, sql: &'static str, of: &str) -> i64 {
        let row = sqlx::query(sql).bind(of).fetch_one(&self.db);
        row.await.unwrap().try_get(0).unwrap()
    }

    /// The payment of an order that waits for the password.
    async fn waits(&self, order: &str) -> Option<String> {
        let sql = "SELECT payment_id FROM code_payments WHERE order_id = $1 AND state = 'wanted'";
        let row = sqlx::query(sql).bind(order).fetch_optional(&self.db);
        row.await.unwrap().map(|row| row.try_get(0).unwrap())
    }

    /// What the network has paid and not taken back.
    fn paid(&self) -> usize {
        let decided = self.bench.network.decided.lock().unwrap();
        decided.values().filter(|reason| reason.is_none()).count()
    }

    /// Plays a case; `false` when the step came to its end before the crash.
    async fn plays(&mut self, case: Case) -> bool {
        let [first, second] = self.two().await;
        let codes = self.codes.clone();
        self.orders += 1;
        let order = format!("A-{}", self.orders);
        let paid_before = self.paid();
        let answer = self.crashes(case, &codes, [first, second], &order).await;
        let crashed = answer.is_err();
        let mut heard: Vec<Value> = answer.into_iter().collect();
        self.bench.restart().await;
        heard.extend(self.goes_on(case, &codes, [first, second], &order).await);
        self.settles().await;

        let end = self.bench.about("query", &order).await.ok();
        let end = end.map_or("none".to_owned(), |end| text(&end["state"]));
        let once = usize::from(end == "approved");
        assert_eq!(self.paid() - paid_before, once, "{case:?} {end}");
        let (payments, entries) = (
            "SELECT COUNT(*) FROM code_payments WHERE state = 'approved' AND order_id = $1",
            "SELECT COUNT(*) FROM code_entries e JOIN code_payments p ON p.payment_id = e.payment_id WHERE e.result = 'approved' AND p.order_id = $1",
        );
        for sql in [payments, entries] {
            let counted = self.number(sql, &order).await;
            assert_eq!(counted, i64::from(end == "approved"), "{case:?}");
        }
        Self::is_what_was_heard(case, crashed, &heard, &end);
        self.pays_nothing_else(case, &codes.code(first), &codes.aliases[first].0)
            .await;
        self.codes.aliases.truncate(first);
        crashed
    }

    /// Does what the case is about, as far as it goes.
    async fn crashes(
        &self,
        case: Case,
        codes: &Codes,
        [first, second]: [usize; 2],
        order: &str,
    ) -> Result<Value, CallError> {
        let (bench, phone) = (&self.bench, self.phone());
        let amount = case.step.amount();
        let scan = async |place| bench.pay(&codes.code(place), order, amount).await;
        let mut word = None;
        match case.step {
            Step::Scan | Step::ScanDear | Step::Shop | Step::RevokeUnseen => {}
            Step::Replace | Step::RevokePaid | Step::RevokeWaiting => {
                scan(first).await.unwrap();
            }
            Step::Confirm => {
                let asked = scan(first).await.unwrap();
                let typed = phone.word(amount).await.unwrap();
                word = Some((text(&asked["payment_id"]), typed));
            }
        }
        *bench.network.line.lock().unwrap() = case.line;
        sqlx::query("UPDATE crash SET armed = 1, writes = $1")
            .bind(case.writes)
            .execute(&self.db)
            .await
            .unwrap();
        let answer = match (case.step, &word) {
            (_, Some((payment, (word, key)))) => phone.give(payment, word, key).await,
            (Step::Replace, _) => scan(second).await,
            (Step::Shop, _) => self.pays_shop(order).await,
            (step, _) if step.revokes() => bench.about("revoke", order).await,
            _ => scan(first).await,
        };
        run(&self.db, "UPDATE crash SET armed = 0").await;
        *bench.network.line.lock().unwrap() = Line::Up;
        if let Err(CallError::Refused(problem)) = &answer {
            assert_eq!(problem.status, 500, "{case:?}");
        }
        answer
    }

    /// The phone pays the shop's code for this order, under the same key each time.
    async fn pays_shop(&self, order: &str) -> Result<Value, CallError> {
        let code = code_of("898110058120001", Some((order, "1.00")));
        let key = format!("{:016X}", self.orders);
        let wish = wish(&code, &self.token, FREE);
        self.phone().pay_shop(&wish, &key).await
    }

    /// What till and phone do when another provider runs on what the first one left.
    async fn goes_on(
        &self,
        case: Case,
        codes: &Codes,
        [first, second]: [usize; 2],
        order: &str,
    ) -> Option<Value> {
        let (bench, amount) = (&self.bench, case.step.amount());
        match case.next {
            Next::Nothing => None,
            Next::SameCode if case.step == Step::Shop => self.pays_shop(order).await.ok(),
            Next::SameCode => bench.pay(&codes.code(first), order, amount).await.ok(),
            Next::FreshCode => bench.pay(&codes.code(second), order, amount).await.ok(),
            Next::Revoke => Some(bench.about("revoke", order).await.unwrap()),
            Next::Type => {
                let payment = self.waits(order).await?;
                let phone = self.phone();
                let typed = phone.type_password(&payment, amount).await;
                Some(typed.unwrap())
            }
        }
    }

    /// Lets the provider finish what it finds, and the time for passwords pass.
    async fn settles(&self) {
        let background = self.bench.provider.start();
        let open = "SELECT COUNT(*) FROM code_payments WHERE state IN ('started', 'reversing') AND $1 = ''";
        for _ in 0..2_000 {
            if self.number(open, "").await == 0 {
                drop(background);
                run(
                    &self.db,
                    "UPDATE code_payments SET confirm_until = 1 WHERE state = 'wanted'",
                )
                .await;
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("something stays open");
    }

    /// Nobody was told what then came otherwise, and what must come did.
    fn is_what_was_heard(case: Case, crashed: bool, heard: &[Value], end: &str) {
        let last = heard.last().map(|answer| text(&answer["state"]));
        for answer in heard {
            let revoked = case.next == Next::Revoke;
            match answer["state"].as_str().unwrap() {
                "approved" => assert!(end == "approved" || revoked, "{case:?} {end}"),
                "revoked" => assert_eq!(end, "revoked", "{case:?}"),
                _ => {}
            }
        }
        let pays = match case.next {
            Next::SameCode | Next::FreshCode => matches!(case.step, Step::Scan | Step::Shop),
            Next::Type => matches!(case.step, Step::ScanDear | Step::Replace | Step::Confirm),
            Next::Nothing | Next::Revoke => false,
        };
        // A scan that was lost altogether asks for no password.
        if pays && (case.next != Next::Type || last.is_some()) {
            assert_eq!(end, "approved", "{case:?} {last:?}");
        }
        if case.next == Next::Revoke || (case.step.revokes() && !crashed) {
            assert_eq!(end, "revoked", "{case:?}");
        }
    }

    /// The code is dead once it stood for a payment, whatever became of it, and as good as new otherwise.
    async fn pays_nothing_else(&self, case: Case, code: &str, alias: &str) {
        let paid = self.paid();
        let used = "SELECT COUNT(*) FROM code_payments WHERE alias = $1";
        let used = self.number(used, alias).await == 1;
        let other = format!("B-{}", self.orders);
        let answer = self.bench.pay(code, &other, FREE).await.unwrap();
        let (reason, times) = match used {
            true => (json!("code_used"), 0),
            false => (Value::Null, 1),
        };
        assert_eq!(answer["reason"], reason, "{case:?}");
        assert_eq!(self.paid() - paid, times, "{case:?}");
    }
}

#[tokio::test]
async fn whatever_crashes_an_order_is_paid_once_or_not_at_all() {
    let full = std::env::var("TAPCORE_SWEEP").is_ok_and(|sweep| sweep == "full");
    let mut sweep = Sweep::new().await;
    let (mut cases, mut crashes) = (0, 0);
    for step in STEPS {
        for line in LINES {
            for writes in 0.. {
                let turn = [NEXTS[cases % NEXTS.len()]];
                let nexts = if full { &NEXTS[..] } else { &turn };
                let mut crashed = false;
                for next in nexts {
                    let case = Case {
                        step,
                        line,
                        writes,
                        next: *next,
                    };
                    crashed = sweep.plays(case).await;
                    cases += 1;
                    crashes += usize::from(crashed);
                }
                if !crashed {
                    break;
                }
            }
        }
    }
    println!("{cases} cases, {crashes} of them crashes, each order paid once or not at all");
    assert!(crashes > 30);
}
