//! Tags are read as they are written, objects are as long as they say, and file locators name records that can be.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapcore::emv::afl;
use tapcore::emv::tlv::{self, Tag};

fuzz_target!(|data: &[u8]| {
    if let Some((tag, rest)) = Tag::read(data) {
        let mut written = Vec::new();
        tag.write(&mut written);
        assert_eq!(written, data[..data.len() - rest.len()]);

        let value = &rest[..rest.len().min(0xFFFF)];
        let object = tlv::wrap(tag, value);
        let (again, behind) = Tag::read(&object).expect("what was written can be read");
        assert_eq!(again, tag);
        let (length, held) = match behind {
            [0x82, high, low, held @ ..] => (u16::from_be_bytes([*high, *low]), held),
            [0x81, length, held @ ..] | [length, held @ ..] => (u16::from(*length), held),
            [] => panic!("an object without a length"),
        };
        assert_eq!(usize::from(length), held.len());
        assert_eq!(held, value);
    }
    if let Some(ranges) = afl::parse(data) {
        for (sfi, number) in afl::records(&ranges) {
            assert!((1..=30).contains(&sfi) && number >= 1);
        }
        assert_eq!(afl::records(&ranges).last(), afl::last_record(&ranges));
    }
});
