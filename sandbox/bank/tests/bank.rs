//! A bank from adding a card to its books, with the time passed in.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use sandbox_bank::authorise::PaymentQuery;
use sandbox_bank::card::{AccountType, BANK_A, CREDIT_LIMIT, OPENING_BALANCE};
use sandbox_bank::challenge::{CardQuery, Challenge};
use sandbox_bank::{Bank, BankConfig, BankIdentity, read_ledger};
use sandbox_kit::client::{CallError, Client};
use sandbox_kit::event::{Event, Events};
use sandbox_kit::keys::PartyKey;
use sandbox_kit::problem::Problem;
use sandbox_kit::server::{Authority, serve};
use tokio::sync::mpsc::UnboundedReceiver;

const GOOD: &str = "6228480000000015";

struct Here {
    bank: Bank,
    sms: UnboundedReceiver<Event>,
    seconds: Arc<AtomicI64>,
    folder: tempfile::TempDir,
}

impl Here {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (events, sms) = Events::channel();
        let seconds = Arc::new(AtomicI64::new(0));
        let late = Arc::clone(&seconds);
        let start = sandbox_kit::clock::parse("2026-11-22T10:00:00Z").unwrap();
        let bank = Bank::open(BankConfig {
            folder: folder.path().to_owned(),
            database_url: database_url().await,
            identity: BankIdentity::A,
            network_key: [4; 65],
            events,
            clock: Arc::new(move || start + time::Duration::seconds(late.load(Ordering::SeqCst))),
            slowness: Duration::from_millis(200),
        })
        .await
        .unwrap();
        Self {
            bank,
            sms,
            seconds,
            folder,
        }
    }

    async fn challenge(&self, number: &str) -> Result<Challenge, Problem> {
        let query = CardQuery {
            number: number.into(),
            expiry: "12/29".into(),
        };
        self.bank.challenge(&query).await
    }

    fn code(&mut self) -> String {
        let event = self.sms.try_recv().unwrap();
        assert_eq!(event.event, "sms");
        event.fields["code"].as_str().unwrap().to_owned()
    }

    async fn card(&mut self, number: &str) -> String {
        let challenge = self.challenge(number).await.unwrap();
        let code = self.code();
        self.bank
            .verify(&challenge.challenge_id, &code)
            .await
            .unwrap()
            .card_ref
    }
}

fn payment(card_ref: &str, network_ref: &str, amount_minor: i64) -> PaymentQuery {
    PaymentQuery {
        network_ref: network_ref.into(),
        card_ref: card_ref.into(),
        amount_minor,
        currency: "CNY".into(),
        merchant: "Mapo Tofu House".into(),
        mcc: "5812".into(),
        terminal_id: "ter_1".into(),
        at: "2026-11-22T10:00:00Z".into(),
    }
}

fn code_of<T: std::fmt::Debug>(result: Result<T, Problem>) -> (u16, String) {
    let problem = result.unwrap_err();
    (problem.status, problem.code)
}

#[tokio::test]
async fn an_sms_goes_to_the_customer_and_opens_the_account() {
    let mut here = Here::new().await;
    let challenge = here.challenge(GOOD).await.unwrap();
    assert_eq!(
        (challenge.masked.as_str(), challenge.tries_left),
        ("…0015", 3)
    );
    assert_eq!(challenge.sms_expires_at, "2026-11-22T10:05:00Z");
    let event = here.sms.try_recv().unwrap();
    assert_eq!(event.fields["to"], "bank-a customer …0015");
    let code = event.fields["code"].as_str().unwrap();
    assert!(code.len() == 6 && code.bytes().all(|digit| digit.is_ascii_digit()));
    let first = here
        .bank
        .verify(&challenge.challenge_id, code)
        .await
        .unwrap();
    // An answer that was lost on the way is given again.
    assert_eq!(
        here.bank
            .verify(&challenge.challenge_id, code)
            .await
            .unwrap(),
        first
    );
    assert_eq!(
        here.bank.balance(&first.card_ref).await.unwrap(),
        Some(OPENING_BALANCE)
    );
    // The same card in another phone: the same account, not a second one.
    assert_eq!(here.card(GOOD).await, first.card_ref);
    assert_eq!(
        here.bank.balance(&first.card_ref).await.unwrap(),
        Some(OPENING_BALANCE)
    );
}

#[tokio::test]
async fn the_third_wrong_code_ends_the_challenge() {
    let mut here = Here::new().await;
    let id = here.challenge(GOOD).await.unwrap().challenge_id;
    let code = here.code();
    let wrong = if code == "000000" { "000001" } else { "000000" };
    for left in [2, 1] {
        let problem = here.bank.verify(&id, wrong).await.unwrap_err();
        assert_eq!(
            (problem.status, problem.code.as_str()),
            (403, "sms_code_wrong")
        );
        assert_eq!(problem.extra["tries_left"], left);
    }
    assert_eq!(
        code_of(here.bank.verify(&id, wrong).await),
        (429, "tries_exhausted".into())
    );
    assert_eq!(
        code_of(here.bank.verify(&id, &code).await),
        (429, "tries_exhausted".into())
    );
    assert_eq!(
        code_of(here.bank.verify("sms_0", &code).await),
        (404, "challenge_unknown".into())
    );
}

#[tokio::test]
async fn a_code_dies_after_five_minutes() {
    let mut here = Here::new().await;
    let id = here.challenge(GOOD).await.unwrap().challenge_id;
    let code = here.code();
    here.seconds.store(300, Ordering::SeqCst);
    assert_eq!(
        code_of(here.bank.verify(&id, &code).await),
        (410, "challenge_expired".into())
    );
    here.seconds.store(299, Ordering::SeqCst);
    here.bank.verify(&id, &code).await.unwrap();
}

#[tokio::test]
async fn cards_that_cannot_be_added() {
    let here = Here::new().await;
    for (number, status, code) in [
        (BANK_A.lost, 409, "card_reported_lost"),
        (BANK_A.expired, 422, "card_expired"),
        (BANK_A.down, 503, "bank_unavailable"),
        ("6217000000000014", 404, "card_unknown"),
        ("6228480000000016", 422, "card_number_invalid"),
    ] {
        assert_eq!(
            code_of(here.challenge(number).await),
            (status, code.into()),
            "{number}"
        );
    }
    for (expiry, code) in [("10/26", "card_expired"), ("2026-10", "request_invalid")] {
        let query = CardQuery {
            number: GOOD.into(),
            expiry: expiry.into(),
        };
        assert_eq!(code_of(here.bank.challenge(&query).await).1, code);
    }
}

#[tokio::test]
async fn a_payment_is_posted_once_and_the_books_balance() {
    let mut here = Here::new().await;
    let card = here.card(GOOD).await;
    let query = payment(&card, "net_1", 1250);
    let (first, second) = tokio::join!(here.bank.authorise(&query), here.bank.authorise(&query));
    let first = first.unwrap();
    assert_eq!(first, second.unwrap());
    assert_eq!(
        (first.result.as_str(), first.reason.as_deref()),
        ("approved", None)
    );
    assert_eq!(first.authorisation.as_ref().unwrap().len(), 6);
    assert_eq!(
        here.bank.balance(&card).await.unwrap(),
        Some(OPENING_BALANCE - 1250)
    );
    let other = payment(&card, "net_1", 1251);
    assert_eq!(
        code_of(here.bank.authorise(&other).await),
        (409, "idempotency_conflict".into())
    );

    let ledger = here.bank.ledger().await.unwrap();
    if database_url().await.is_none() {
        let beside = read_ledger(here.folder.path(), BankIdentity::A).await;
        assert_eq!(beside.unwrap(), ledger);
    }
    assert!(ledger.balanced);
    assert_eq!(ledger.entries.len(), 2);
    let paid = &ledger.entries[1];
    assert_eq!((paid.kind.as_str(), paid.amount_minor), ("payment", 1250));
    assert_eq!(paid.debit, format!("customer:{card}"));
    assert_eq!(paid.credit, "settlement:network");
    assert_eq!(paid.merchant, "Mapo Tofu House");
}

#[tokio::test]
async fn a_credit_account_owes_up_to_its_limit() {
    let mut here = Here::new().await;
    let challenge = here.challenge("6228489000000016").await.unwrap();
    assert_eq!(challenge.account_type, AccountType::Credit);
    let code = here.code();
    let card = here.bank.verify(&challenge.challenge_id, &code).await;
    let card = card.unwrap().card_ref;
    assert_eq!(here.bank.balance(&card).await.unwrap(), Some(0));
    let pays = |reference: &str, amount| payment(&card, reference, amount);
    let all = here.bank.authorise(&pays("net_1", CREDIT_LIMIT)).await;
    assert_eq!(all.unwrap().result, "approved");
    let more = here.bank.authorise(&pays("net_2", 1)).await.unwrap();
    assert_eq!(more.reason.as_deref(), Some("insufficient_funds"));
    let owed = here.bank.balance(&card).await.unwrap();
    assert_eq!(owed, Some(-CREDIT_LIMIT));
    assert!(here.bank.ledger().await.unwrap().balanced);
}

#[tokio::test]
async fn money_that_is_not_there_is_not_spent() {
    let mut here = Here::new().await;
    let card = here.card(GOOD).await;
    let all = here
        .bank
        .authorise(&payment(&card, "net_1", OPENING_BALANCE))
        .await
        .unwrap();
    assert_eq!(all.result, "approved");
    let more = here
        .bank
        .authorise(&payment(&card, "net_2", 1))
        .await
        .unwrap();
    assert_eq!(more.reason.as_deref(), Some("insufficient_funds"));
    assert_eq!(here.bank.balance(&card).await.unwrap(), Some(0));
    for amount in [0, -1, 1_000_000_000_000, i64::MIN] {
        let problem = here.bank.authorise(&payment(&card, "net_3", amount)).await;
        assert_eq!(code_of(problem), (422, "request_invalid".into()));
    }
    assert!(here.bank.ledger().await.unwrap().balanced);
}

#[tokio::test]
async fn payments_at_the_same_time_do_not_spend_the_same_money() {
    let mut here = Here::new().await;
    let card = here.card(GOOD).await;
    let refs: Vec<String> = (0..6).map(|number| format!("net_{number}")).collect();
    let mut payments = tokio::task::JoinSet::new();
    for network_ref in refs {
        let (bank, query) = (
            here.bank.clone(),
            payment(&card, &network_ref, OPENING_BALANCE),
        );
        payments.spawn(async move { bank.authorise(&query).await.unwrap().result });
    }
    let results = payments.join_all().await;
    assert_eq!(
        results
            .iter()
            .filter(|result| *result == "approved")
            .count(),
        1
    );
    assert_eq!(here.bank.balance(&card).await.unwrap(), Some(0));
}

#[tokio::test]
async fn cards_that_are_refused_when_they_pay() {
    let mut here = Here::new().await;
    let empty = here.card(BANK_A.no_funds).await;
    let lost = here.card(BANK_A.lost_later).await;
    let down = here.card(BANK_A.down_later).await;
    let slow = here.card(BANK_A.slow).await;
    let reason =
        |decision: Result<sandbox_bank::authorise::Decision, Problem>| decision.unwrap().reason;
    let answer = here.bank.authorise(&payment(&empty, "net_1", 1)).await;
    assert_eq!(reason(answer).as_deref(), Some("insufficient_funds"));
    let answer = here.bank.authorise(&payment(&lost, "net_2", 1)).await;
    assert_eq!(reason(answer).as_deref(), Some("card_reported_lost"));
    let answer = here.bank.authorise(&payment("card_0", "net_3", 1)).await;
    assert_eq!(reason(answer).as_deref(), Some("card_unknown"));
    let answer = here.bank.authorise(&payment(&down, "net_4", 1)).await;
    assert_eq!(code_of(answer), (503, "bank_unavailable".into()));
    let mut dollars = payment(&slow, "net_5", 1);
    dollars.currency = "USD".into();
    let answer = here.bank.authorise(&dollars).await;
    assert_eq!(reason(answer).as_deref(), Some("currency_not_supported"));
    let before = Instant::now();
    assert_eq!(
        reason(here.bank.authorise(&payment(&slow, "net_6", 1)).await),
        None
    );
    assert!(before.elapsed() >= Duration::from_millis(200));
    let ledger = here.bank.ledger().await.unwrap();
    assert!(ledger.balanced);
    let declined = ledger
        .entries
        .iter()
        .filter(|entry| entry.kind == "decline");
    assert!(declined.clone().count() == 4 && declined.clone().all(|entry| entry.debit.is_empty()));
}

#[tokio::test]
async fn a_reversal_brings_the_money_back_once() {
    let mut here = Here::new().await;
    let card = here.card(GOOD).await;
    let query = payment(&card, "net_1", 1250);
    here.bank.authorise(&query).await.unwrap();
    assert!(here.bank.reverse(&query).await.unwrap().moved);
    assert!(!here.bank.reverse(&query).await.unwrap().moved);
    assert_eq!(
        here.bank.balance(&card).await.unwrap(),
        Some(OPENING_BALANCE)
    );
    let reversals = |ledger: sandbox_kit::ledger::Ledger| {
        let kinds = ledger.entries.into_iter().map(|entry| entry.kind);
        kinds.filter(|kind| kind == "reversal").count()
    };
    assert_eq!(reversals(here.bank.ledger().await.unwrap()), 1);
    // The reversal overtook the payment.
    let late = payment(&card, "net_2", 500);
    assert!(!here.bank.reverse(&late).await.unwrap().moved);
    let decision = here.bank.authorise(&late).await.unwrap();
    assert_eq!(decision.reason.as_deref(), Some("reversed"));
    assert_eq!(
        here.bank.balance(&card).await.unwrap(),
        Some(OPENING_BALANCE)
    );
    assert!(here.bank.ledger().await.unwrap().balanced);
}

/// What is no text cannot be in a path; the answer is a problem document all the same.
#[tokio::test]
async fn a_path_that_is_no_text_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let key = PartyKey::generate();
    let (events, _sms) = Events::channel();
    let bank = Bank::open(BankConfig {
        folder: folder.path().join("bank-a"),
        database_url: database_url().await,
        identity: BankIdentity::A,
        network_key: key.public(),
        events,
        clock: Arc::new(sandbox_kit::clock::now),
        slowness: Duration::ZERO,
    })
    .await
    .unwrap();
    let authority = Authority::open(folder.path()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let identity = authority.party("bank-a").unwrap();
    let server = serve(bank.router(), listener, &identity).unwrap();
    let client = Client::new(authority.ca_pem(), key, "network").unwrap();
    let url = format!("{}/v1/card-challenges/%FF/verify", server.url);
    let refused = client
        .post::<_, serde_json::Value>(&url, &serde_json::json!({"code": "123456"}), None)
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, CallError::Refused(problem) if problem.status == 404),
        "{refused}"
    );
    assert_eq!(refused.code(), Some("route_unknown"));
}

/// A fresh database on the PostgreSQL server that `TAPCORE_TEST_POSTGRES` names (`postgres://user@host`), so that the
/// same tests run there; without it they run on SQLite.
async fn database_url() -> Option<String> {
    let server = std::env::var("TAPCORE_TEST_POSTGRES").ok()?;
    sqlx::any::install_default_drivers();
    let name = sandbox_kit::bytes::random_id("test").to_lowercase();
    let pool = sqlx::AnyPool::connect(&format!("{server}/postgres"))
        .await
        .unwrap();
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::raw_sql(create).execute(&pool).await.unwrap();
    pool.close().await;
    Some(format!("{server}/{name}"))
}
