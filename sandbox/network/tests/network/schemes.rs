//! Tokens of all three schemes: each pays by its own rules, and none by another's.

use crate::common::{GOOD, Here, Said};
use sandbox_network::authorise::AuthorisationQuery;
use sandbox_network::derive;
use sandbox_network::profile::{Flow, KeyMethod};
use sandbox_network::scheme::Scheme;

const SCHEMES: [(Scheme, &str); 3] = [
    (Scheme::UnionPay, "62"),
    (Scheme::Visa, "4895"),
    (Scheme::Mastercard, "5204"),
];

async fn reason(here: &Here, query: &AuthorisationQuery) -> Option<String> {
    here.network.authorise(query).await.unwrap().reason
}

#[tokio::test]
async fn each_scheme_pays_once_per_cryptogram() {
    let mut here = Here::new().await;
    let mut trace = 0;
    let mut next = || {
        trace += 1;
        trace
    };
    for (scheme, range) in SCHEMES {
        let mut phone = here.card_of(GOOD, Some(scheme.name())).await;
        assert!(phone.card.token.starts_with(range), "{}", scheme.name());
        assert_eq!(phone.card.profile.scheme, scheme);
        let query = phone.tap(next(), 1250);
        assert_eq!(reason(&here, &query).await, None, "{}", scheme.name());
        let again = AuthorisationQuery {
            trace: next(),
            ..query
        };
        assert_eq!(reason(&here, &again).await.as_deref(), Some("atc_replayed"));
        let altered = AuthorisationQuery {
            amount_minor: 1,
            ..phone.tap(next(), 1250)
        };
        let refused = reason(&here, &altered).await;
        assert_eq!(refused.as_deref(), Some("cryptogram_invalid"));
    }
    assert!(here.network.ledger().await.unwrap().balanced);
}

#[tokio::test]
async fn a_cryptogram_by_another_scheme_s_rules_is_none() {
    let mut here = Here::new().await;
    let mut phone = here.card_of(GOOD, Some("mastercard")).await;
    let genuine = phone.tap(1, 100);
    phone.card.profile.scheme = Scheme::UnionPay;
    let unionpay = phone.tap_with(2, 100, 2, 0);
    assert_eq!(
        reason(&here, &unionpay).await.as_deref(),
        Some("key_unknown"),
        "issuer data of another form"
    );
    // By the limited-use key itself, where its session key is due.
    let mut direct = AuthorisationQuery {
        trace: 3,
        ..genuine.clone()
    };
    let mut data = hex::decode("000000000100").unwrap();
    for tag in [
        "9F03", "9F1A", "95", "5F2A", "9A", "9C", "9F37", "82", "9F36", "9F10",
    ] {
        data.extend(hex::decode(&direct.emv[tag]).unwrap());
    }
    let key = hex::decode(&phone.card.keys[0].key).unwrap();
    let by_key = derive::cryptogram(&key.try_into().unwrap(), &data);
    direct.emv.insert("9F26".into(), hex::encode_upper(by_key));
    let refused = reason(&here, &direct).await;
    assert_eq!(refused.as_deref(), Some("cryptogram_invalid"));
    assert_eq!(reason(&here, &genuine).await, None);
}

#[tokio::test]
async fn what_the_card_itself_declined_is_not_paid() {
    let mut here = Here::new().await;
    for (trace, (scheme, _)) in (1..).zip(SCHEMES) {
        let phone = here.card_of(GOOD, Some(scheme.name())).await;
        let said = Said {
            result: "80",
            ..Said::default()
        };
        let declined = phone.tap_saying(trace, 100, 1, 0, &said);
        let refused = reason(&here, &declined).await;
        assert_eq!(refused.as_deref(), Some("card_declined"));
    }
}

#[tokio::test]
async fn the_scheme_is_chosen_when_the_card_is_entered() {
    let mut here = Here::new().await;
    let old = here.card(GOOD).await;
    assert_eq!(old.card.profile.scheme, Scheme::UnionPay);
    assert_eq!(old.card.profile.flow, Flow::Gpo);
    let refused = here.begin_as(GOOD, Some("dinersclub")).await.unwrap_err();
    assert_eq!(
        (refused.status, refused.code.as_str()),
        (422, "scheme_unknown")
    );
    let new = here.card_of(GOOD, Some("mastercard")).await;
    assert!(matches!(new.card.profile.flow, Flow::GenerateAc(_)));
    assert_eq!(
        new.card.profile.cryptogram.key_method,
        KeyMethod::SessionKey
    );
}

#[tokio::test]
async fn one_ca_key_stands_under_every_scheme() {
    let here = Here::new().await;
    let keys = here.network.ca_keys();
    let rids: Vec<&str> = keys.iter().map(|key| key.rid.as_str()).collect();
    assert_eq!(rids, ["A000000333", "A000000003", "A000000004"]);
    for key in &keys {
        assert_eq!((key.index.as_str(), key.exponent.as_str()), ("F1", "03"));
        assert_eq!(key.modulus, keys[0].modulus);
    }
}
