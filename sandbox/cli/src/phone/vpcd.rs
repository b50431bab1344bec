//! The phone as a card in a virtual PC/SC reader, Debian's `vsmartcard-vpcd` below `pcscd`.
//!
//! The card connects to the reader. Every message is a two-byte big-endian length and that many bytes: one byte is a
//! control message, more are a command APDU, which is answered in the same form. Of the control messages only the
//! question for the ATR is answered; the reader asks it all the time, to see whether the card is still there.
//!
//! `pcscd` ends by itself when no program uses it and comes back with the next one, so a reader that is gone is waited
//! for: the phone says so once and connects again.

use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::field::{Field, Stay};

/// Power off.
const OFF: u8 = 0x00;
/// Power on.
const ON: u8 = 0x01;
/// Reset.
const RESET: u8 = 0x02;
/// The question for the ATR.
const ATR_WANTED: u8 = 0x04;
/// The answer to reset: protocol T=0, no programming voltage, no extra guard time, eight historical bytes.
const ATR: [u8; 12] = [
    0x3B, 0x68, 0x00, 0x00, 0x00, 0x73, 0xC8, 0x40, 0x13, 0x00, 0x90, 0x00,
];
/// What a program gets while the phone is held to another reader: conditions of use not satisfied.
const ELSEWHERE: [u8; 2] = [0x69, 0x85];
/// How often a reader that is gone is looked for.
const AGAIN: Duration = Duration::from_millis(500);

/// Connects to the reader.
///
/// # Errors
/// When nothing listens there: at the beginning that is a wrong address more often than a reader to wait for.
pub(super) async fn connect(addr: &str) -> anyhow::Result<TcpStream> {
    TcpStream::connect(addr).await.with_context(|| {
        format!("no virtual reader listens at {addr}; are vsmartcard-vpcd and pcscd running?")
    })
}

/// Is a card in the reader, and in the one that comes back at its address.
pub(super) async fn serve(addr: &str, mut reader: TcpStream, field: &Field) {
    loop {
        // Whatever ended it, the reader is gone.
        drop(inserted(&mut reader, field).await);
        eprintln!("The virtual reader at {addr} is gone; waiting for it to come back.");
        reader = loop {
            tokio::time::sleep(AGAIN).await;
            if let Ok(reader) = TcpStream::connect(addr).await {
                break reader;
            }
        };
        eprintln!("The virtual reader at {addr} is back.");
    }
}

/// Is a card in the reader until the reader is gone.
async fn inserted(reader: &mut TcpStream, field: &Field) -> std::io::Result<()> {
    reader.set_nodelay(true)?;
    // From the first command after power on to power off or reset.
    let mut stay: Option<Stay<'_>> = None;
    loop {
        let length = reader.read_u16().await?;
        let mut message = vec![0; usize::from(length)];
        reader.read_exact(&mut message).await?;
        let answer = match message.as_slice() {
            [ATR_WANTED] => ATR.to_vec(),
            [OFF | ON | RESET] => {
                stay = None;
                continue;
            }
            // No other control message is known, and none wants an answer.
            [] | [_] => continue,
            _ => {
                if stay.is_none() {
                    stay = field.try_enter();
                }
                match &mut stay {
                    Some(stay) => stay.answer(message).await,
                    None => ELSEWHERE.to_vec(),
                }
            }
        };
        let length = u16::try_from(answer.len()).map_err(std::io::Error::other)?;
        reader
            .write_all(&[&length.to_be_bytes()[..], &answer].concat())
            .await?;
    }
}
