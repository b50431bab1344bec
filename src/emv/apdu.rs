//! Command APDUs and status words (ISO 7816-4).

/// Two status bytes, the end of every answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusWord(pub u16);

impl StatusWord {
    /// Done.
    pub const OK: Self = Self(0x9000);
    /// Wrong length.
    pub const WRONG_LENGTH: Self = Self(0x6700);
    /// Conditions of use not satisfied; to GPO, a reader takes the next application.
    pub const CONDITIONS_NOT_SATISFIED: Self = Self(0x6985);
    /// Command not allowed; to GPO, that the person is to look at the phone and tap again.
    pub const SEE_PHONE: Self = Self(0x6986);
    /// Wrong data in the command.
    pub const WRONG_DATA: Self = Self(0x6A80);
    /// Application or file not found.
    pub const NOT_FOUND: Self = Self(0x6A82);
    /// Record not found.
    pub const RECORD_NOT_FOUND: Self = Self(0x6A83);
    /// Wrong P1 or P2.
    pub const WRONG_P1_P2: Self = Self(0x6A86);
    /// Instruction not supported.
    pub const INS_NOT_SUPPORTED: Self = Self(0x6D00);
    /// Class not supported.
    pub const CLA_NOT_SUPPORTED: Self = Self(0x6E00);
    /// No precise diagnosis; also what a caught panic answers.
    pub const INTERNAL: Self = Self(0x6F00);

    /// The two bytes.
    pub fn bytes(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }

    /// An answer that is this status word alone.
    pub fn answer(self) -> Vec<u8> {
        self.bytes().to_vec()
    }
}

/// The instruction that reads a record.
const READ_RECORD: u8 = 0xB2;

/// A command APDU, its header and its data field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    /// Class byte.
    pub cla: u8,
    /// Instruction byte.
    pub ins: u8,
    /// First parameter.
    pub p1: u8,
    /// Second parameter.
    pub p2: u8,
    /// The data field, empty when there is none.
    pub data: &'a [u8],
}

impl<'a> Command<'a> {
    /// Reads a short or extended command.
    ///
    /// Readers differ in whether they send Le, and some send bytes after it; both are let pass.
    /// Bytes that end inside the header or the data field are refused with 6700.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, StatusWord> {
        let Some((&[cla, ins, p1, p2], body)) = bytes.split_first_chunk::<4>() else {
            return Err(StatusWord::WRONG_LENGTH);
        };
        let data = match body {
            // READ RECORD has no data field, whatever follows its header.
            _ if ins == READ_RECORD => &[],
            // No body, or Le alone (one byte, or three in the extended form).
            [] | [_] | [0, _, _] => &[],
            [0, high, low, rest @ ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                rest.get(..length).ok_or(StatusWord::WRONG_LENGTH)?
            }
            [length, rest @ ..] => rest
                .get(..usize::from(*length))
                .ok_or(StatusWord::WRONG_LENGTH)?,
        };
        Ok(Self {
            cla,
            ins,
            p1,
            p2,
            data,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(text: &str) -> Result<Vec<u8>, StatusWord> {
        let bytes = hex::decode(text).unwrap();
        Command::parse(&bytes).map(|command| command.data.to_vec())
    }

    #[test]
    fn all_four_cases_with_and_without_le() {
        assert_eq!(data("00B2010C").unwrap(), b"");
        assert_eq!(data("00B2010C00").unwrap(), b"");
        assert_eq!(data("00A4040002A000").unwrap(), [0xA0, 0x00]);
        assert_eq!(data("00A4040002A00000").unwrap(), [0xA0, 0x00]);
    }

    #[test]
    fn extended_lengths() {
        assert_eq!(data("00B2010C000000").unwrap(), b"");
        assert_eq!(data("00A40400000002A0000000").unwrap(), [0xA0, 0x00]);
    }

    #[test]
    fn trailing_bytes_are_let_pass_and_missing_ones_are_not() {
        assert_eq!(data("00A4040002A000001122").unwrap(), [0xA0, 0x00]);
        assert_eq!(data("00B2010C0011223344").unwrap(), b"");
        assert_eq!(data("00A4040003A000"), Err(StatusWord::WRONG_LENGTH));
        assert_eq!(data("00A404"), Err(StatusWord::WRONG_LENGTH));
        assert_eq!(data(""), Err(StatusWord::WRONG_LENGTH));
    }
}
