//! Data object lists: what is taken can be asked of any reader, and every value is found where it stands.
//!
//! The input is the list's length, the list, and a reader's answer to it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapcore::emv::dol::Dol;
use tapcore::emv::tlv::Tag;

fuzz_target!(|data: &[u8]| {
    let Some((&length, rest)) = data.split_first() else {
        return;
    };
    let (list, answer) = rest.split_at(usize::from(length).min(rest.len()));
    let Some(dol) = Dol::parse(list) else {
        return;
    };
    assert_eq!(dol.encoded(), list);
    assert!(dol.length() <= 252);
    let mut found = Vec::new();
    let mut entries = list;
    while let Some((tag, rest)) = Tag::read(entries) {
        let (&length, rest) = rest.split_first().expect("a list that was taken is whole");
        assert_eq!(dol.length_of(tag), Some(usize::from(length)));
        match dol.value(tag, answer) {
            Some(value) => {
                assert_eq!(value.len(), usize::from(length));
                found.extend_from_slice(value);
            }
            None => assert!(answer.len() < dol.length()),
        }
        entries = rest;
    }
    if answer.len() >= dol.length() {
        assert_eq!(found, answer[..dol.length()]);
    }
});
