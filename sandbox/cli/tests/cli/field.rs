//! A reader that speaks to the phone byte by byte, as no terminal would.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use crate::process::PATIENCE;

pub(crate) const PPSE: &str = "00A404000E325041592E5359532E444446303100";
pub(crate) const SELECT: &str = "00A4040008A00000033301010100";
/// The first record, and the last one of the online path.
pub(crate) const RECORDS: [&str; 2] = ["00B2010C00", "00B2020C00"];
/// What the card asks of the terminal: TTQ, amounts, country, TVR, currency, date, type, UN, merchant.
const PDOL: &str = "9F66049F02069F03069F1A0295055F2A029A039C019F37049F4E14";

/// One stay in the phone's field; dropping it leaves the field.
pub(crate) struct Field(TcpStream);

impl Field {
    pub(crate) fn enter(addr: &str) -> Self {
        Self::of(TcpStream::connect(addr).unwrap())
    }

    /// The field at the other end of this connection.
    pub(crate) fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Sends bytes as they are, without a length.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// Sends a command, waits for the answer.
    pub(crate) fn command(&mut self, apdu: &[u8]) -> Vec<u8> {
        send(&mut self.0, apdu).unwrap();
        receive(&mut self.0).unwrap()
    }

    /// The same in hex.
    pub(crate) fn hex(&mut self, apdu: &str) -> String {
        hex::encode_upper(self.command(&hex::decode(apdu).unwrap()))
    }

    /// Selects the payment application.
    pub(crate) fn select(&mut self) -> &mut Self {
        assert!(self.hex(PPSE).ends_with("9000"));
        let fci = self.hex(SELECT);
        assert!(fci.contains(PDOL) && fci.ends_with("9000"), "{fci}");
        self
    }

    /// GPO for 12.50 yuan under an unpredictable number.
    pub(crate) fn gpo(&mut self, unpredictable: u32) -> Vec<u8> {
        self.command(&gpo(unpredictable))
    }
}

/// The GPO command for 12.50 yuan under an unpredictable number.
pub(crate) fn gpo(unpredictable: u32) -> Vec<u8> {
    let merchant = hex::encode(format!("{:20}", "Field test"));
    let data = format!(
        "66800000 000000001250 000000000000 0156 0000000000 0156 261122 00 {unpredictable:08X} {merchant}"
    );
    let data = hex::decode(data.replace(' ', "")).unwrap();
    let length = u8::try_from(data.len()).unwrap();
    [
        &[0x80, 0xA8, 0, 0, length + 2, 0x83, length],
        &data[..],
        &[0],
    ]
    .concat()
}

/// The status word at the end of an answer.
pub(crate) fn status(answer: &[u8]) -> u16 {
    u16::from_be_bytes(*answer.last_chunk().unwrap())
}

/// The ATC in an answer to GPO.
pub(crate) fn atc(answer: &[u8]) -> u64 {
    assert_eq!(status(answer), 0x9000);
    let mut objects = match answer {
        [0x77, 0x81, length, rest @ ..] | [0x77, length, rest @ ..] => {
            &rest[..usize::from(*length)]
        }
        _ => panic!("no template 77: {}", hex::encode(answer)),
    };
    loop {
        let name = if objects[0] & 0x1F == 0x1F { 2 } else { 1 };
        let (tag, rest) = objects.split_at(name);
        let (value, rest) = rest[1..].split_at(usize::from(rest[0]));
        if tag == [0x9F, 0x36] {
            return u64::from(u16::from_be_bytes(value.try_into().unwrap()));
        }
        objects = rest;
    }
}

fn send(stream: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(message.len()).unwrap();
    stream.write_all(&[&length.to_be_bytes(), message].concat())
}

fn receive(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(message)
}

/// Stands between one terminal and the phone, and takes the phone out of the field just before the last record is read:
/// the terminal is given `last_record` and is content. Answers where the terminal finds it.
pub(crate) fn tear_before_last_record(phone: &str, last_record: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let mut phone = Some(Field::enter(phone));
    thread::spawn(move || {
        let (mut terminal, _) = listener.accept().unwrap();
        while let Ok(command) = receive(&mut terminal) {
            let answer = match command.starts_with(&[0x00, 0xB2, 0x02, 0x0C]) {
                true => {
                    drop(phone.take());
                    last_record.clone()
                }
                false => phone.as_mut().unwrap().command(&command),
            };
            if send(&mut terminal, &answer).is_err() {
                return;
            }
        }
    });
    addr
}
