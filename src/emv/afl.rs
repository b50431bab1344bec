//! The application file locator: which records a reader reads (EMV Book 3, 10.2).

/// One entry of an application file locator: records of one file that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Short file identifier, 1 to 30.
    pub sfi: u8,
    /// First record number, from 1.
    pub first: u8,
    /// Last record number.
    pub last: u8,
    /// How many of them, from the first, are signed for offline data authentication.
    pub signed: u8,
}

/// Parses the value of tag 94; nothing when it is malformed.
pub fn parse(value: &[u8]) -> Option<Vec<Range>> {
    let (entries, []) = value.as_chunks::<4>() else {
        return None;
    };
    entries
        .iter()
        .map(|&[file, first, last, signed]| {
            let sfi = file >> 3;
            let sound = file & 0x07 == 0
                && (1..=30).contains(&sfi)
                && first >= 1
                && last >= first
                && signed <= last - first + 1;
            sound.then_some(Range {
                sfi,
                first,
                last,
                signed,
            })
        })
        .collect()
}

/// The record a reader reads last.
pub fn last_record(ranges: &[Range]) -> Option<(u8, u8)> {
    ranges.last().map(|range| (range.sfi, range.last))
}

/// Every record named, in the order of reading.
pub fn records(ranges: &[Range]) -> impl Iterator<Item = (u8, u8)> + '_ {
    ranges
        .iter()
        .flat_map(|range| (range.first..=range.last).map(|number| (range.sfi, number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locator_of_two_files() {
        let ranges = parse(&[0x08, 1, 1, 1, 0x10, 1, 3, 0]).unwrap();
        assert_eq!(
            records(&ranges).collect::<Vec<_>>(),
            [(1, 1), (2, 1), (2, 2), (2, 3)]
        );
        assert_eq!(last_record(&ranges), Some((2, 3)));
    }

    #[test]
    fn malformed_locators_are_refused() {
        for value in [
            &[0x08, 1, 1][..],
            &[0x09, 1, 1, 0],
            &[0x00, 1, 1, 0],
            &[0x08, 0, 1, 0],
            &[0x08, 2, 1, 0],
            &[0x08, 1, 1, 2],
        ] {
            assert_eq!(parse(value), None);
        }
    }
}
