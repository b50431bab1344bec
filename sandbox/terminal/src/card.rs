//! The card in the field, whatever carries the bytes.
//!
//! The kernel speaks to a [`Card`]; [`TcpCard`] is the project's wire (per APDU a two-byte big-endian length and the
//! bytes, both ways; one connection is one stay in the field), [`Traced`] hands a decoded copy of everything to a
//! listener, and a test plays a card by implementing the trait.

use std::fmt;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::trace::Decoder;

/// How long the card may take to appear and to give one answer. Generous: a phone on a busy laptop is not out of the field.
const PATIENCE: Duration = Duration::from_secs(10);

/// A short APDU's answer is at most 256 bytes and a status word; more is no answer.
const LONGEST_ANSWER: usize = 258;

/// Something that answers command APDUs.
pub trait Card {
    /// Sends one command and waits for the whole answer, status word included.
    ///
    /// # Errors
    /// [`CardLost`] when the card left the field or what came back is no answer at all.
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardLost>;
}

/// The card is gone, with a sentence for the person at the till.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardLost(pub String);

impl fmt::Display for CardLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CardLost {}

/// A card at the other end of a TCP connection.
#[derive(Debug)]
pub struct TcpCard {
    stream: TcpStream,
}

impl TcpCard {
    /// Brings the card at `address` (host and port) into the field.
    ///
    /// # Errors
    /// [`CardLost`] when nothing answers there.
    pub fn connect(address: &str) -> Result<Self, CardLost> {
        let unreachable = |why: std::io::Error| {
            CardLost(format!(
                "no card answers at {address} ({why}); is `phone serve` running there?"
            ))
        };
        let mut last =
            std::io::Error::new(std::io::ErrorKind::NotFound, "the address names no host");
        for socket in address.to_socket_addrs().map_err(unreachable)? {
            match TcpStream::connect_timeout(&socket, PATIENCE).and_then(prepared) {
                Ok(stream) => return Ok(Self { stream }),
                Err(why) => last = why,
            }
        }
        Err(unreachable(last))
    }

    fn exchange(&mut self, command: &[u8]) -> std::io::Result<Vec<u8>> {
        let length = u16::try_from(command.len()).map_err(std::io::Error::other)?;
        let mut frame = Vec::with_capacity(command.len() + 2);
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(command);
        self.stream.write_all(&frame)?;
        let mut header = [0; 2];
        self.stream.read_exact(&mut header)?;
        let length = usize::from(u16::from_be_bytes(header));
        if !(2..=LONGEST_ANSWER).contains(&length) {
            return Err(std::io::Error::other(format!(
                "an answer of {length} bytes is no APDU answer"
            )));
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        Ok(answer)
    }
}

/// Sets what every stay in the field needs: bounded waiting, and no waiting for more bytes to fill a segment.
fn prepared(stream: TcpStream) -> std::io::Result<TcpStream> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Card for TcpCard {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardLost> {
        self.exchange(command)
            .map_err(|why| CardLost(format!("the card left the field ({why}); present it again")))
    }
}

/// A card whose conversation is decoded, APDU by APDU, for a listener.
pub struct Traced<C> {
    card: C,
    decoder: Decoder,
    listener: Box<dyn FnMut(&str) + Send>,
}

impl<C: Card> Traced<C> {
    /// Wraps `card`; `listener` gets one block of lines per APDU.
    pub fn new(card: C, listener: Box<dyn FnMut(&str) + Send>) -> Self {
        Self {
            card,
            decoder: Decoder::default(),
            listener,
        }
    }
}

impl<C: Card> Card for Traced<C> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardLost> {
        (self.listener)(&self.decoder.command(command));
        let answer = self.card.transmit(command)?;
        (self.listener)(&self.decoder.response(&answer));
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn the_wire_is_a_length_and_the_bytes() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let phone = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut got = [0; 7];
            stream.read_exact(&mut got).unwrap();
            stream.write_all(&[0, 2, 0x6D, 0x00]).unwrap();
            let mut rest = [0; 7];
            stream.read_exact(&mut rest).unwrap();
            stream.write_all(&[0, 1, 0x90]).unwrap();
            got
        });
        let mut card = TcpCard::connect(&address).unwrap();
        assert_eq!(card.transmit(&[0, 0xB2, 1, 12, 0]), Ok(vec![0x6D, 0x00]));
        assert!(
            card.transmit(&[0, 0xB2, 1, 12, 0]).is_err(),
            "one byte is no status word"
        );
        assert_eq!(phone.join().unwrap(), [0, 5, 0, 0xB2, 1, 12, 0]);
    }

    #[test]
    fn nobody_there_is_a_sentence() {
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .to_string();
        let lost = TcpCard::connect(&free).unwrap_err();
        assert!(lost.0.contains("phone serve"), "{lost}");
    }
}
