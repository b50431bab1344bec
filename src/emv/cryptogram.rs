//! Application cryptograms: the eight bytes that pay.
//!
//! ISO/IEC 9797-1 MAC algorithm 3 ("retail MAC") under a limited-use or session key, as EMV Book 2, 8.1 has it.

use des::Des;
use des::cipher::{BlockDecrypt, BlockEncrypt, KeyInit, generic_array::GenericArray};
use serde::Deserialize;

use crate::secret::Secret;

/// How input that is not a whole number of blocks is completed (ISO/IEC 9797-1, clause 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Padding {
    /// Method 1: zeros up to the block, none when the input is whole.
    #[serde(rename = "iso9797_m1")]
    Method1,
    /// Method 2: one `80`, then zeros up to the block; always at least the `80`.
    #[serde(rename = "iso9797_m2")]
    Method2,
}

/// The application cryptogram over `input` under a double-length DES key.
pub fn application_cryptogram(key: &Secret<16>, input: &[u8], padding: Padding) -> [u8; 8] {
    let (left, right) = halves(key.expose());
    let first = Des::new(GenericArray::from_slice(left));
    let second = Des::new(GenericArray::from_slice(right));
    let mut chain = GenericArray::from([0_u8; 8]);
    let mut absorb = |block: &[u8; 8]| {
        for (state, byte) in chain.iter_mut().zip(block) {
            *state ^= byte;
        }
        first.encrypt_block(&mut chain);
    };
    let (whole, rest) = input.as_chunks::<8>();
    for block in whole {
        absorb(block);
    }
    let mut last = [0_u8; 8];
    for (to, from) in last.iter_mut().zip(rest.iter().chain(match padding {
        Padding::Method1 => &[][..],
        Padding::Method2 => &[0x80],
    })) {
        *to = *from;
    }
    if padding == Padding::Method2 || !rest.is_empty() || whole.is_empty() {
        absorb(&last);
    }
    second.decrypt_block(&mut chain);
    first.encrypt_block(&mut chain);
    chain.into()
}

fn halves(key: &[u8; 16]) -> (&[u8], &[u8]) {
    key.split_at(8)
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
}
