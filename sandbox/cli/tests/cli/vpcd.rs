//! `phone serve --vpcd`: the phone as a card in a virtual PC/SC reader, which the test plays.
//!
//! Messages of one byte are the reader's: power off, power on, reset, and the question for the ATR.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use serde_json::json;

use crate::common::{PATIENCE, Phone, Sandbox, closed_port, tapcore};
use crate::field::{Field, PPSE, RECORDS, SELECT, atc, status};

const OFF: [u8; 3] = [0, 1, 0x00];
const ON: [u8; 3] = [0, 1, 0x01];
const RESET: [u8; 3] = [0, 1, 0x02];
const ATR_WANTED: [u8; 1] = [0x04];
const ATR: &str = "3B6800000073C84013009000";

/// The reader's side: it listens, the card connects.
struct Reader {
    listener: TcpListener,
    addr: String,
}

impl Reader {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        Self { listener, addr }
    }

    /// Waits for a card to be inserted.
    fn card(&self) -> Field {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => return powered(stream),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            assert!(Instant::now() < until, "no card is inserted");
            std::thread::yield_now();
        }
    }
}

/// Asks for the ATR and powers the card on, as `pcscd` does.
fn powered(stream: TcpStream) -> Field {
    stream.set_nonblocking(false).unwrap();
    let mut card = Field::of(stream);
    assert_eq!(hex::encode_upper(card.command(&ATR_WANTED)), ATR);
    card.raw(&ON);
    card
}

#[test]
fn the_phone_is_a_card_in_a_reader() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let reader = Reader::new();
    let serving = phone.start(&["serve", "--vpcd", &reader.addr]);
    let mut card = reader.card();
    let ready = serving.next();
    assert_eq!(ready["vpcd"], reader.addr.as_str());
    assert!(ready.get("addr").is_none(), "{ready}");

    let first = atc(&card.select().gpo(1));
    // The question comes at any time and changes nothing.
    assert_eq!(hex::encode_upper(card.command(&ATR_WANTED)), ATR);
    card.hex(RECORDS[0]);
    card.raw(&OFF);
    let tap = serving.event("tap");
    assert_eq!(
        [&tap["atc"], &tap["outcome"]],
        [&json!(first), &json!("incomplete")]
    );

    card.raw(&ON);
    let second = atc(&card.select().gpo(2));
    assert!(second > first);
    assert!(
        RECORDS
            .iter()
            .all(|record| card.hex(record).ends_with("9000"))
    );
    let tap = serving.event("tap");
    assert_eq!(
        [&tap["atc"], &tap["outcome"]],
        [&json!(second), &json!("complete")]
    );
    card.raw(&RESET);
    assert_eq!(
        status(&card.gpo(3)),
        0x6985,
        "nothing is selected after a reset"
    );

    // The daemon ends when nobody uses it, and comes back.
    drop(card);
    let mut card = reader.card();
    assert_eq!(hex::encode_upper(card.command(&ATR_WANTED)), ATR);
    assert!(atc(&card.select().gpo(4)) > second);
    let ended = serving.terminate();
    assert!(
        ended.err.contains("is gone") && ended.err.contains("is back"),
        "{ended:?}"
    );
}

#[test]
fn the_phone_is_in_one_field_at_a_time() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let reader = Reader::new();
    let serving = phone.start(&["serve", "--tcp", "127.0.0.1:0", "--vpcd", &reader.addr]);
    let mut card = reader.card();
    let ready = serving.next();
    let mut field = Field::enter(ready["addr"].as_str().unwrap());
    let first = atc(&field.select().gpo(1));
    assert_eq!(card.hex(PPSE), "6985");
    drop(field);
    let until = Instant::now() + PATIENCE;
    while card.hex(PPSE) == "6985" {
        assert!(Instant::now() < until, "the other reader never leaves");
    }
    assert!(card.hex(SELECT).ends_with("9000"));
    assert!(atc(&card.gpo(2)) > first);
    card.raw(&OFF);
    serving.stop();
}

#[test]
fn without_a_door_or_a_reader_nothing_is_served() {
    let sandbox = Sandbox::shared();
    let phone = Phone::enrolled(&sandbox);
    phone.run(&["serve"]).exits(2);
    let nobody = format!("127.0.0.1:{}", closed_port());
    phone
        .run(&["serve", "--vpcd", &nobody])
        .says(1, &["virtual reader", &nobody]);
    tapcore(&["phone", "--data", "nowhere", "serve"]).exits(2);
}
