//! The directory of merchants, and payments by their codes, of which their acquirer is told.

use std::time::Duration;

use crate::common::{GOOD, Here};
use crate::on_file::{code_of, payment, undo};
use sandbox_kit::client::{CallError, Client};
use sandbox_kit::server::serve;
use sandbox_network::merchants::{MerchantEntered, MerchantEntry, MerchantNotice, MerchantQuery};
use sandbox_network::on_file::OnFileQuery;

fn entry() -> MerchantEntry {
    MerchantEntry {
        merchant_id: "mer_1".into(),
        name: "陈麻婆豆腐".into(),
        mcc: "5812".into(),
        country: "0156".into(),
        city: "Chengdu".into(),
        currency: "CNY".into(),
    }
}

fn query(acquirer: &str) -> MerchantQuery {
    MerchantQuery {
        acquirer_id: acquirer.into(),
        merchant_id: "mer_1".into(),
    }
}

#[tokio::test]
async fn acquirers_enter_merchants_and_the_provider_looks_them_up() {
    let here = Here::new().await;
    let unknown = here.network.look_up_merchant(&query("acq_1")).await;
    assert_eq!(code_of(unknown), (404, "payee_unknown".into()));
    let older = MerchantEntry {
        name: "Old name".into(),
        ..entry()
    };
    for entry in [older, entry(), entry()] {
        here.network.enter_merchant("acq_1", &entry).await.unwrap();
    }
    let found = here.network.look_up_merchant(&query("acq_1")).await;
    assert_eq!(found.unwrap(), entry());
    // Another acquirer's merchant of the same name is another.
    let other = here.network.look_up_merchant(&query("acq_2")).await;
    assert_eq!(code_of(other), (404, "payee_unknown".into()));
    for odd in [
        MerchantEntry {
            merchant_id: "1234567890123456".into(),
            ..entry()
        },
        MerchantEntry {
            name: "a\u{0}b".into(),
            ..entry()
        },
        MerchantEntry {
            mcc: "58".into(),
            ..entry()
        },
        MerchantEntry {
            country: "CN".into(),
            ..entry()
        },
        MerchantEntry {
            currency: "156".into(),
            ..entry()
        },
    ] {
        let refused = here.network.enter_merchant("acq_1", &odd).await;
        assert_eq!(code_of(refused).0, 422, "{odd:?}");
    }
}

#[tokio::test]
async fn each_party_has_its_own_side_of_the_directory() {
    let here = Here::new().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let identity = here.authority.party("network").unwrap();
    let server = serve(here.network.router(), listener, &identity).unwrap();
    let (enter, look_up) = (
        format!("{}/v1/merchants", server.url),
        format!("{}/v1/merchant-lookups", server.url),
    );
    let ca = here.authority.ca_pem();
    let acquirer = Client::new(ca, here.acquirer.clone(), "acq_1").unwrap();
    let provider = Client::new(ca, here.provider.clone(), "provider").unwrap();
    let entered: MerchantEntered = acquirer.post(&enter, &entry(), None).await.unwrap();
    assert_eq!(entered.merchant_id, "mer_1");
    let found: MerchantEntry = provider
        .post(&look_up, &query("acq_1"), None)
        .await
        .unwrap();
    assert_eq!(found, entry());
    let refused: Result<MerchantEntered, CallError> = provider.post(&enter, &entry(), None).await;
    assert!(matches!(refused, Err(CallError::Refused(problem)) if problem.status == 401));
    let refused: Result<MerchantEntry, CallError> =
        acquirer.post(&look_up, &query("acq_1"), None).await;
    assert!(matches!(refused, Err(CallError::Refused(problem)) if problem.status == 401));
}

/// What the acquirer has been told, once it is so much.
async fn told(here: &Here, count: usize) -> Vec<MerchantNotice> {
    for _ in 0..400 {
        let told = here.told_acquirer.lock().unwrap().clone();
        if told.len() >= count {
            return told;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the acquirer was never told");
}

#[tokio::test]
async fn the_acquirer_is_told_of_what_nobody_at_the_shop_asked_for() {
    let mut here = Here::new().await;
    let phone = here.card(GOOD).await;
    // A scanned code: the acquirer has the provider's answer.
    let scanned = payment(&phone, "cpy_1", 1250);
    here.network.authorise_on_file(&scanned).await.unwrap();
    // More than the account has: nothing to tell.
    let by_code = |id: &str, amount_minor| OnFileQuery {
        order_id: Some(format!("order of {id}")),
        ..payment(&phone, id, amount_minor)
    };
    let declined = here
        .network
        .authorise_on_file(&by_code("cpy_2", 20_000_000))
        .await
        .unwrap();
    assert_eq!(declined.result, "declined");
    let paid = by_code("cpy_3", 1300);
    let answer = here.network.authorise_on_file(&paid).await.unwrap();
    assert_eq!(here.network.authorise_on_file(&paid).await.unwrap(), answer);
    let notice = told(&here, 1).await.remove(0);
    assert_eq!(
        (
            notice.payment_id.as_str(),
            notice.order_id.as_str(),
            notice.result.as_str()
        ),
        ("cpy_3", "order of cpy_3", "approved")
    );
    assert_eq!(
        (notice.amount_minor, notice.merchant_id.as_str()),
        (1300, "mer_1")
    );
    assert_eq!(notice.authorisation, answer.authorisation);
    for id in ["cpy_1", "cpy_2", "cpy_3"] {
        here.network.reverse_on_file(&undo(id)).await.unwrap();
    }
    let last = told(&here, 2).await.remove(1);
    assert_eq!(
        (last.payment_id.as_str(), last.result.as_str()),
        ("cpy_3", "reversed")
    );
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(told(&here, 2).await.len(), 2);
}
