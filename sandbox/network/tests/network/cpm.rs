//! Consumer-presented codes: paid like taps, under a cryptogram that was told nothing but the time.

use std::sync::atomic::Ordering;

use crate::common::{DEVICE, GOOD, Here, Phone, Said};
use sandbox_kit::keys::PartyKey;
use sandbox_kit::{bytes, clock};
use sandbox_network::authorise::AuthorisationQuery;
use sandbox_network::card_data::EntryMode;
use sandbox_network::derive;
use sandbox_network::payload::{LogEntry, log_mac};
use sandbox_network::replenish::ReplenishQuery;
use sandbox_network::scheme::Scheme;
use sandbox_network::state::{StateQuery, TokenState};

/// Zeros for what a terminal would have said: 9F02, 9F03, 9F1A, 95, 5F2A, 9A, 9C.
const UNSAID: [u8; 6 + 6 + 2 + 5 + 2 + 3 + 1] = [0; 25];

/// The step of time, of 30 s, in which the tests begin by the network's clock.
fn first_step() -> i64 {
    clock::parse("2026-11-22T10:00:00Z")
        .unwrap()
        .unix_timestamp()
        / 30
}

impl Phone {
    /// A code under the next counter, made so many steps after the tests' first, as acquirers pass it on.
    fn code(&mut self, trace: i64, amount_minor: i64, steps: i64) -> AuthorisationQuery {
        self.code_saying(trace, amount_minor, steps, "A0")
    }

    /// The same with this byte of the card verification results.
    fn code_saying(
        &mut self,
        trace: i64,
        amount_minor: i64,
        steps: i64,
        result: &'static str,
    ) -> AuthorisationQuery {
        self.atc += 1;
        let said = Said {
            result,
            ..Said::default()
        };
        let mut query = self.tap_saying(trace, amount_minor, self.atc, 0, &said);
        let scheme = self.card.profile.scheme;
        let aip = match scheme {
            Scheme::UnionPay | Scheme::Visa => "0000",
            Scheme::Mastercard => "1B80",
        };
        let un = format!("{:08X}", first_step() + steps);
        let mut data = UNSAID.to_vec();
        for value in [
            un.as_str(),
            aip,
            query.emv["9F36"].as_str(),
            query.emv["9F10"].as_str(),
        ] {
            data.extend(hex::decode(value).unwrap());
        }
        let luk = hex::decode(&self.card.keys[0].key).unwrap();
        let luk: [u8; 16] = luk.try_into().unwrap();
        let key = match scheme {
            Scheme::UnionPay | Scheme::Visa => luk,
            Scheme::Mastercard => derive::session_key(&luk, self.atc),
        };
        let arqc = derive::cryptogram(&key, &data);
        query.emv.insert("9F37".into(), un);
        query.emv.insert("9F26".into(), hex::encode_upper(arqc));
        query
            .emv
            .retain(|tag, _| ["9F10", "9F26", "9F36", "9F37"].contains(&tag.as_str()));
        AuthorisationQuery {
            entry: EntryMode::Cpm,
            // Such a code does not carry it.
            psn: String::new(),
            ..query
        }
    }
}

async fn reason(here: &Here, query: &AuthorisationQuery) -> Option<String> {
    here.network.authorise(query).await.unwrap().reason
}

#[tokio::test]
async fn a_code_of_each_scheme_pays_like_a_tap_and_once() {
    let mut here = Here::new().await;
    for (trace, scheme) in (1..).zip(["unionpay", "visa", "mastercard"]) {
        let mut phone = here.card_of(GOOD, Some(scheme)).await;
        let query = phone.code(trace, 1250, 0);
        let (first, second) = tokio::join!(
            here.network.authorise(&query),
            here.network.authorise(&query)
        );
        let first = first.unwrap();
        assert_eq!(first, second.unwrap());
        assert_eq!(first.result, "approved", "{scheme}: {:?}", first.reason);
        let again = AuthorisationQuery {
            trace: trace + 100,
            ..query.clone()
        };
        let refused = reason(&here, &again).await;
        assert_eq!(refused.as_deref(), Some("atc_replayed"));
        let ledger = here.network.ledger().await.unwrap();
        assert!(ledger.balanced);
        let line = ledger
            .entries
            .iter()
            .find(|line| line.reference == first.network_ref)
            .unwrap();
        assert_eq!(
            (line.kind.as_str(), line.amount_minor, line.atc),
            ("payment", 1250, Some(1))
        );
        assert_eq!(line.arqc.as_deref(), Some(query.emv["9F26"].as_str()));
        let told = here.notifications(usize::try_from(trace).unwrap()).await;
        let last = told.last().unwrap();
        assert_eq!(
            (last.token_ref.as_str(), last.atc, last.amount_minor),
            (phone.card.token_ref.as_str(), 1, 1250)
        );
    }
}

#[tokio::test]
async fn a_code_lives_in_its_own_step_and_the_two_beside_it() {
    let mut here = Here::new().await;
    let mut phone = here.card(GOOD).await;
    for (trace, steps) in [(1, -1), (2, 0), (3, 1)] {
        assert_eq!(reason(&here, &phone.code(trace, 100, steps)).await, None);
    }
    for (trace, steps) in [(4, -2), (5, 2), (6, -1000)] {
        let refused = reason(&here, &phone.code(trace, 100, steps)).await;
        assert_eq!(refused.as_deref(), Some("code_expired"), "{steps}");
    }
    // One that came too early is not kept for later: its counter is spent.
    let early = phone.code(7, 100, 2);
    let refused = reason(&here, &early).await;
    assert_eq!(refused.as_deref(), Some("code_expired"));
    here.seconds.store(60, Ordering::SeqCst);
    let kept = AuthorisationQuery { trace: 8, ..early };
    let refused = reason(&here, &kept).await;
    assert_eq!(refused.as_deref(), Some("atc_replayed"));
}

#[tokio::test]
async fn a_tap_is_no_code_and_a_code_no_tap() {
    let mut here = Here::new().await;
    let mut phone = here.card(GOOD).await;
    let tap = phone.tap(1, 1250);
    let as_code = AuthorisationQuery {
        entry: EntryMode::Cpm,
        ..tap.clone()
    };
    let refused = reason(&here, &as_code).await;
    assert_eq!(refused.as_deref(), Some("cryptogram_invalid"));
    let code = phone.code(2, 1250, 0);
    // Completed with what a terminal says, as far as the acquirer is free to say it.
    let mut emv = tap.emv.clone();
    emv.extend(code.emv.clone());
    for (tag, value) in [("9F1A", "0000"), ("9A", "000000")] {
        emv.insert(tag.into(), value.into());
    }
    let as_tap = AuthorisationQuery {
        entry: EntryMode::Tap,
        psn: tap.psn.clone(),
        emv,
        ..code.clone()
    };
    let refused = reason(&here, &as_tap).await;
    assert_eq!(refused.as_deref(), Some("cryptogram_invalid"));
    // Both are good for what they are; nothing was spent on the way.
    for genuine in [tap, code] {
        let genuine = AuthorisationQuery {
            trace: genuine.trace + 10,
            ..genuine
        };
        assert_eq!(reason(&here, &genuine).await, None);
    }
}

#[tokio::test]
async fn what_holds_for_taps_holds_for_codes() {
    let mut here = Here::new().await;
    let mut phone = here.card(GOOD).await;
    let refused = reason(&here, &phone.code(1, 5_000_001, 0)).await;
    assert_eq!(refused.as_deref(), Some("key_amount_exceeded"));
    // A key for payments without the person does not say that the person was there.
    let refused = reason(&here, &phone.code_saying(2, 100, 0, "A4")).await;
    assert_eq!(refused.as_deref(), Some("verification_mismatch"));
    let refused = reason(&here, &phone.code_saying(3, 100, 0, "80")).await;
    assert_eq!(refused.as_deref(), Some("card_declined"));
    let mut altered = phone.code(4, 100, 0);
    altered.emv.insert("9F36".into(), "0077".into());
    let refused = reason(&here, &altered).await;
    assert_eq!(refused.as_deref(), Some("cryptogram_invalid"));
    let other = AuthorisationQuery {
        psn: "02".into(),
        ..phone.code(5, 100, 0)
    };
    let refused = reason(&here, &other).await;
    assert_eq!(refused.as_deref(), Some("token_unknown"));
    let mut broken = phone.code(6, 100, 0);
    broken.emv.remove("9F37");
    let refused = here.network.authorise(&broken).await.unwrap_err();
    assert_eq!(refused.status, 422);
    let suspended = StateQuery {
        device_id: DEVICE.into(),
        state: TokenState::Suspended,
    };
    let token = &phone.card.token_ref;
    here.network.set_state(token, &suspended).await.unwrap();
    let refused = reason(&here, &phone.code(7, 100, 0)).await;
    assert_eq!(refused.as_deref(), Some("token_suspended"));
    assert!(here.network.ledger().await.unwrap().balanced);
}

/// The phone logs a code as it made it: no amount, and the step as the unpredictable number.
#[tokio::test]
async fn the_phone_s_log_knows_no_amount_of_a_code() {
    let mut here = Here::new().await;
    let mut phone = here.card(GOOD).await;
    let code = phone.code(1, 1250, 0);
    assert_eq!(reason(&here, &code).await, None);
    let entry = LogEntry {
        atc: 1,
        key_index: phone.card.keys[0].key_index.clone(),
        at: "2026-11-22T10:00:00Z".into(),
        un: code.emv["9F37"].clone(),
        amount_minor: 0,
        currency: "CNY".into(),
    };
    let token_ref = phone.card.token_ref.clone();
    let log_key = hex::decode(&phone.card.log_key).unwrap();
    let ask = async |entry: LogEntry| {
        let log = vec![entry];
        let mac = log_mac(&log_key, &token_ref, &log).unwrap();
        let query = ReplenishQuery {
            device_id: DEVICE.into(),
            log,
            log_mac: bytes::to_hex(&mac),
            provisioning_key: PartyKey::generate().public_hex(),
            verified_keys: false,
        };
        here.network
            .replenish(&token_ref, &query)
            .await
            .map(|_| ())
            .map_err(|problem| problem.code)
    };
    assert_eq!(ask(entry.clone()).await, Ok(()));
    let contradicting = LogEntry {
        amount_minor: 1250,
        ..entry
    };
    let refused = ask(contradicting).await;
    assert_eq!(refused, Err("log_contradicts_network".to_owned()));
}

/// A tap is written down as before there were codes, so that one that was asked for then is still known.
#[test]
fn taps_keep_their_form() {
    let tap = serde_json::json!({
        "acquirer_id": "acq_1", "terminal_id": "ter_1", "merchant_id": "mer_1", "merchant": "Mapo Tofu House", "mcc": "5812",
        "country": "0156", "trace": 1, "at": "2026-11-22T10:00:00Z", "amount_minor": 1, "currency": "CNY",
        "token": "6258070000000000", "expiry": "2912", "psn": "01", "emv": {}
    });
    let read: AuthorisationQuery = serde_json::from_value(tap.clone()).unwrap();
    assert_eq!(read.entry, EntryMode::Tap);
    assert_eq!(serde_json::to_value(&read).unwrap(), tap);
    let code = AuthorisationQuery {
        entry: EntryMode::Cpm,
        ..read
    };
    assert_eq!(serde_json::to_value(&code).unwrap()["entry"], "cpm");
}
