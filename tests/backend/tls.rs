//! Who is talked to, and how: the floor under TLS, and the keys that are pinned.

use std::io::{Read, Write};
use std::sync::mpsc::channel;

use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use tapcore::backend::BackendError;

use crate::client;
use crate::provider::{Authority, Leaf, Provider, session};

const BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// What a phone that trusts `ca` and `pins` makes of a server with this leaf.
async fn meets(
    ca: &Authority,
    pins: &[String],
    leaf: &Leaf,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<(), BackendError> {
    let provider = Provider::serve(leaf.config(versions), |_| session());
    let met = client(&provider, &ca.pem, pins).check().await;
    let requests = provider.heard().len();
    assert_eq!(requests, usize::from(met.is_ok()), "nothing is said before");
    met
}

#[track_caller]
fn is_refused(met: Result<(), BackendError>) {
    assert!(matches!(met, Err(BackendError::NotTrusted)), "{met:?}");
}

#[tokio::test]
async fn s35_a_server_is_asked_for_its_name_its_time_and_its_ca() {
    let (ca, stranger) = (Authority::new(), Authority::new());
    for version in BOTH {
        let only: &[&'static SupportedProtocolVersion] = &[version];
        meets(&ca, &[], &ca.leaf(), only).await.unwrap();
        is_refused(meets(&ca, &[], &ca.expired(), only).await);
        let elsewhere = ca.leaf_for("provider.example");
        is_refused(meets(&ca, &[], &elsewhere, only).await);
        is_refused(meets(&ca, &[], &stranger.leaf(), only).await);
        // The name of the certificate must be that which was called, though both lead here.
        is_refused(meets(&ca, &[], &ca.leaf_for("localhost"), only).await);
    }
}

/// A ServerHello (RFC 4346, 7.4.1.3) of TLS 1.1: no session, TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA.
fn hello_of_tls_1_1() -> Vec<u8> {
    let mut body = vec![0x03, 0x02];
    body.extend([0x5A; 32]);
    body.extend([0x00, 0xC0, 0x09, 0x00]);
    let length = u8::try_from(body.len()).unwrap();
    let handshake = [&[0x02, 0x00, 0x00, length][..], &body].concat();
    let length = u8::try_from(handshake.len()).unwrap();
    [&[0x16, 0x03, 0x02, 0x00, length][..], &handshake].concat()
}

/// One TLS record: its type and content.
fn record(stream: &mut impl Read) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    stream.read_exact(&mut head).ok()?;
    let mut content = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    stream.read_exact(&mut content).ok()?;
    Some((head[0], content))
}

#[tokio::test]
async fn s35_tls_1_1_is_neither_offered_nor_taken() {
    let ca = Authority::new();
    let (sender, seen) = channel();
    let provider = Provider::run(move |mut stream| {
        let hello = record(&mut stream).unwrap();
        stream.write_all(&hello_of_tls_1_1()).unwrap();
        sender.send((hello, record(&mut stream))).unwrap();
    });
    is_refused(client(&provider, &ca.pem, &[]).check().await);
    let ((kind, hello), answer) = seen.recv().unwrap();
    assert_eq!(kind, 22, "a handshake record");
    // Extension supported_versions (RFC 8446, 4.2.1): 1.3 and 1.2, in whichever order, and no other.
    let at = (hello.windows(5))
        .position(|window| window == [0x00, 0x2B, 0x00, 0x05, 0x04])
        .unwrap_or_else(|| panic!("not two versions: {hello:02X?}"));
    let mut versions = [&hello[at + 5..at + 7], &hello[at + 7..at + 9]];
    versions.sort();
    assert_eq!(versions, [&[0x03, 0x03], &[0x03, 0x04]]);
    // A fatal alert, protocol_version.
    assert_eq!(answer, Some((21, vec![2, 70])));
    assert_eq!(provider.heard().len(), 0);
}

#[tokio::test]
async fn s36_the_spare_key_is_as_good_as_the_one_in_use() {
    let ca = Authority::new();
    let (used, spare, third) = (ca.leaf(), ca.leaf(), ca.leaf());
    let pins = [used.pin(), spare.pin()];
    for version in BOTH {
        let only: &[&'static SupportedProtocolVersion] = &[version];
        meets(&ca, &pins, &used, only).await.unwrap();
        meets(&ca, &pins, &spare, only).await.unwrap();
        is_refused(meets(&ca, &pins, &third, only).await);
    }
}

#[tokio::test]
async fn s36_a_pinned_certificate_without_its_key_is_worth_nothing() {
    let ca = Authority::new();
    let (leaf, thief) = (ca.leaf(), ca.leaf());
    let pins = [leaf.pin(), ca.leaf().pin()];
    for version in BOTH {
        let stolen = leaf.with_key_of(&thief);
        is_refused(meets(&ca, &pins, &stolen, &[version]).await);
    }
}

#[tokio::test]
async fn s36_a_pin_does_not_stand_in_for_the_usual_checks() {
    let (ca, stranger) = (Authority::new(), Authority::new());
    for leaf in [
        ca.expired(),
        ca.leaf_for("provider.example"),
        stranger.leaf(),
    ] {
        let pins = [leaf.pin(), ca.leaf().pin()];
        is_refused(meets(&ca, &pins, &leaf, BOTH).await);
    }
}
