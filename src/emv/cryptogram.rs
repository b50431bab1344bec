//! Application cryptograms: the eight bytes that pay.
//!
//! 3DES: ISO/IEC 9797-1 MAC algorithm 3 ("retail MAC"), as EMV Book 2, 8.1 has it. AES: CMAC (the same chapter).
//! SM4: MAC algorithm 1 over its 16-byte blocks, as cards of the Chinese domestic suite have it. Of a longer MAC the
//! first eight bytes pay.

use aes::Aes128;
use cmac::{Cmac, Mac};
use des::Des;
use des::cipher::{BlockDecrypt, BlockEncrypt, KeyInit, generic_array::GenericArray};
use serde::Deserialize;
use sm4::Sm4;

use crate::secret::Secret;

/// The block cipher below a cryptogram. All take keys of sixteen bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cipher {
    /// Triple DES with a double-length key.
    Tdes,
    /// AES-128.
    Aes,
    /// SM4 (GB/T 32907).
    Sm4,
}

/// How input that is not a whole number of blocks is completed (ISO/IEC 9797-1, clause 6.3). AES does it CMAC's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Padding {
    /// Method 1: zeros up to the block, none when the input is whole.
    #[serde(rename = "iso9797_m1")]
    Method1,
    /// Method 2: one `80`, then zeros up to the block; always at least the `80`.
    #[serde(rename = "iso9797_m2")]
    Method2,
}

/// The application cryptogram over `input` by a cipher's key.
pub fn cryptogram_by(cipher: Cipher, key: &Secret<16>, input: &[u8], padding: Padding) -> [u8; 8] {
    match cipher {
        Cipher::Tdes => application_cryptogram(key, input, padding),
        Cipher::Aes => {
            let mut mac = <Cmac<Aes128> as Mac>::new(GenericArray::from_slice(key.expose()));
            mac.update(input);
            first_eight(mac.finalize().into_bytes().into())
        }
        Cipher::Sm4 => {
            let cipher = Sm4::new(GenericArray::from_slice(key.expose()));
            first_eight(chained(input, padding, |block: &mut [u8; 16]| {
                cipher.encrypt_block(GenericArray::from_mut_slice(block));
            }))
        }
    }
}

/// The application cryptogram over `input` under a double-length DES key.
pub fn application_cryptogram(key: &Secret<16>, input: &[u8], padding: Padding) -> [u8; 8] {
    let (left, right) = key.expose().split_at(8);
    let first = Des::new(GenericArray::from_slice(left));
    let second = Des::new(GenericArray::from_slice(right));
    let chain = chained(input, padding, |block: &mut [u8; 8]| {
        first.encrypt_block(GenericArray::from_mut_slice(block));
    });
    let mut chain = GenericArray::from(chain);
    second.decrypt_block(&mut chain);
    first.encrypt_block(&mut chain);
    chain.into()
}

/// The last block of `input` in CBC mode, from a chain of zeros.
fn chained<const N: usize>(
    input: &[u8],
    padding: Padding,
    mut encrypt: impl FnMut(&mut [u8; N]),
) -> [u8; N] {
    let mut chain = [0_u8; N];
    let mut absorb = |block: &[u8; N]| {
        for (state, byte) in chain.iter_mut().zip(block) {
            *state ^= byte;
        }
        encrypt(&mut chain);
    };
    let (whole, rest) = input.as_chunks::<N>();
    for block in whole {
        absorb(block);
    }
    let mut last = [0_u8; N];
    for (to, from) in last.iter_mut().zip(rest.iter().chain(match padding {
        Padding::Method1 => &[][..],
        Padding::Method2 => &[0x80],
    })) {
        *to = *from;
    }
    if padding == Padding::Method2 || !rest.is_empty() || whole.is_empty() {
        absorb(&last);
    }
    chain
}

fn first_eight(mac: [u8; 16]) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = mac;
    [a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// V5 of the published examples: a cloud-style cryptogram made directly by a limited-use key.
    #[test]
    fn a_cryptogram_by_a_limited_use_key() {
        let key = Secret::from_hex("D144CA8CBB4BD463C8EDD5761BF1770E").unwrap();
        let input = hex::decode(
            "0000000010000000000000000710000000000007101302050030901B6A3C00005503A4A082",
        )
        .unwrap();
        let cryptogram = application_cryptogram(&key, &input, Padding::Method2);
        assert_eq!(hex::encode_upper(cryptogram), "42A0254F47679C5A");
    }

    /// RFC 4493, 4: the key and messages of examples 1 and 3; a cryptogram is the first half of the MAC.
    #[test]
    fn a_cryptogram_by_aes() {
        let key = Secret::from_hex("2B7E151628AED2A6ABF7158809CF4F3C").unwrap();
        let message =
            "6BC1BEE22E409F96E93D7E117393172AAE2D8A571E03AC9C9EB76FAC45AF8E5130C81C46A35CE411";
        let message = hex::decode(message).unwrap();
        let by = |input: &[u8]| {
            hex::encode_upper(cryptogram_by(Cipher::Aes, &key, input, Padding::Method2))
        };
        assert_eq!(by(&[]), "BB1D6929E9593728");
        assert_eq!(by(&message), "DFA66747DE9AE630");
    }

    /// GB/T 32907-2016, A.1: one whole block, which padding method 1 leaves alone, is the cipher itself.
    #[test]
    fn a_cryptogram_by_sm4() {
        let key = Secret::from_hex("0123456789ABCDEFFEDCBA9876543210").unwrap();
        let block = hex::decode("0123456789ABCDEFFEDCBA9876543210").unwrap();
        let made = cryptogram_by(Cipher::Sm4, &key, &block, Padding::Method1);
        assert_eq!(hex::encode_upper(made), "681EDF34D206965E");
        let longer = [&block[..], &[0x80]].concat();
        assert_eq!(
            cryptogram_by(Cipher::Sm4, &key, &block, Padding::Method2),
            cryptogram_by(Cipher::Sm4, &key, &longer, Padding::Method1)
        );
    }
}
