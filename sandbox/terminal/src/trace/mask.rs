//! What a trace must not show: card and token numbers, track data, PIN data, names of people.

use sandbox_kit::mask::mask_number;

/// Track 2 equivalent data: number masked, expiry and service code kept, the issuer's own digits hidden.
pub(super) fn track2(hex: &str) -> String {
    let Some((number, rest)) = hex.split_once(['D', 'd']) else {
        return "*".repeat(hex.len());
    };
    let rest: String = rest
        .chars()
        .enumerate()
        .map(|(at, digit)| if at < 7 { digit } else { '*' })
        .collect();
    format!("{}D{rest}", mask_number(number))
}

/// Hides every run of 13 to 19 digits that passes the Luhn check, wherever it stands in a text.
pub(super) fn numbers_in(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = String::new();
    for letter in text.chars() {
        if letter.is_ascii_digit() {
            run.push(letter);
        } else {
            flush(&mut out, &mut run);
            out.push(letter);
        }
    }
    flush(&mut out, &mut run);
    out
}

fn flush(out: &mut String, run: &mut String) {
    if (13..=19).contains(&run.len()) && luhn(run) {
        out.push_str(&mask_number(run));
    } else {
        out.push_str(run);
    }
    run.clear();
}

fn luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let digit = u32::from(digit - b'0');
            if at % 2 == 0 {
                digit
            } else {
                digit * 2 / 10 + digit * 2 % 10
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_six_and_last_four_remain() {
        assert_eq!(
            track2("6228480402564890D2912220000000123F"),
            "622848******4890D2912220**********"
        );
        assert_eq!(track2("1234"), "****");
    }

    #[test]
    fn numbers_are_found_by_their_check_digit() {
        assert_eq!(
            numbers_in("card 4111111111111111, ref 4111111111111112"),
            "card 411111******1111, ref 4111111111111112"
        );
    }
}
