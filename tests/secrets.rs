//! Secret types can be neither shown nor copied nor compared by an operator, so that no careless line can do it.

use std::fs;
use std::path::{Path, PathBuf};

use tapcore::secret::{Secret, SecretBytes};
use tapcore::vault::{
    Arming, Hierarchy, PersonalKey, ProvenPassword, RecipientKey, SessionKey, StorageSealer,
};

/// Whether a type has a trait, as a value: an inherent constant, there only with the trait, goes before the one of a
/// trait that every type has.
macro_rules! has {
    ($type:ty, $($wanted:tt)+) => {{
        #[allow(dead_code)]
        trait Otherwise {
            const HAS: bool = false;
        }
        #[allow(dead_code)]
        struct Probe<T: ?Sized>(std::marker::PhantomData<T>);
        impl<T: ?Sized> Otherwise for Probe<T> {}
        #[allow(dead_code)]
        impl<T: ?Sized + $($wanted)+> Probe<T> {
            const HAS: bool = true;
        }
        <Probe<$type>>::HAS
    }};
}

macro_rules! each_secret_lacks {
    ($($wanted:tt)+) => {
        let found = [
            ("Secret<16>", has!(Secret<16>, $($wanted)+)),
            ("Secret<32>", has!(Secret<32>, $($wanted)+)),
            ("SecretBytes", has!(SecretBytes, $($wanted)+)),
            ("PersonalKey", has!(PersonalKey, $($wanted)+)),
            ("ProvenPassword", has!(ProvenPassword, $($wanted)+)),
            ("Arming", has!(Arming, $($wanted)+)),
            ("Hierarchy", has!(Hierarchy, $($wanted)+)),
            ("RecipientKey", has!(RecipientKey, $($wanted)+)),
            ("SessionKey", has!(SessionKey, $($wanted)+)),
            ("StorageSealer", has!(StorageSealer, $($wanted)+)),
        ];
        for (name, has) in found {
            assert!(!has, "{name} has {}", stringify!($($wanted)+));
        }
    };
}

#[test]
fn the_probe_tells_traits_apart() {
    assert!(has!(String, std::fmt::Debug));
    assert!(has!(Vec<u8>, PartialEq));
    assert!(has!(Vec<u8>, serde::Serialize));
    assert!(!has!(Vec<u8>, std::fmt::Display));
    assert!(!has!(Vec<u8>, Copy));
}

#[test]
fn s16_secret_types_cannot_be_shown_or_copied() {
    each_secret_lacks!(std::fmt::Debug);
    each_secret_lacks!(std::fmt::Display);
    each_secret_lacks!(std::fmt::LowerHex);
    each_secret_lacks!(std::fmt::UpperHex);
    each_secret_lacks!(Clone);
    each_secret_lacks!(serde::Serialize);
    each_secret_lacks!(AsRef<[u8]>);
    each_secret_lacks!(std::ops::Deref);
    each_secret_lacks!(std::hash::Hash);
}

#[test]
fn s17_secret_types_have_no_comparison() {
    each_secret_lacks!(PartialEq);
    each_secret_lacks!(PartialOrd);
}

#[test]
fn s17_no_line_compares_secret_bytes_by_an_operator() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() > 20, "the sources are not where this looks");
    let mut found = Vec::new();
    // A pin there is the public hash of a server's key.
    files.retain(|file| !file.ends_with("backend/pins.rs"));
    for file in files {
        for statement in statements(&fs::read_to_string(&file).unwrap()) {
            if compares_a_secret(&statement) {
                found.push(format!("{}: {}", file.display(), statement.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_search_knows_a_comparison() {
    for line in [
        "if a.expose() == b.expose() {",
        "let same = tag != key.expose()[..4];",
        "assert_eq!(key.expose(), &[0; 16]);",
        "if mac == expected_mac {",
        "entered.pin.as_bytes() == b\"0000\"",
        "if key\n    .expose()\n    .eq(other)\n{",
        "digest.starts_with(secret.expose())",
        "if response.mac() != mac.as_ref() {",
    ] {
        assert!(
            statements(line).iter().any(|one| compares_a_secret(one)),
            "{line}"
        );
    }
    for line in [
        "let cipher = Des::new(key.expose());",
        "if key.expose().len() == 16 {",
        "if key_index == other_index && keys == 3 {",
        "// pin == pin",
        "let done = |key: &[u8]| verify(key, mac).is_ok();",
        "self.pin_state == PinState::Locked",
    ] {
        assert!(
            !statements(line).iter().any(|one| compares_a_secret(one)),
            "{line}"
        );
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => collect(&path, found),
            false if path.extension().is_some_and(|extension| extension == "rs") => {
                found.push(path)
            }
            false => {}
        }
    }
}

/// The code without comments, cut where statements and blocks begin and end, each on one line.
fn statements(code: &str) -> Vec<String> {
    let bare: Vec<&str> = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default().trim())
        .collect();
    // A chain of calls over several lines is one expression.
    let joined = bare.join(" ").replace(" .", ".");
    joined.split([';', '{', '}']).map(str::to_owned).collect()
}

/// Names of bytes that nobody may learn from the time which a comparison takes.
const SECRET_NAMES: [&str; 6] = ["mac", "pin", "password", "secret", "ke3", "session_key"];

fn compares_a_secret(statement: &str) -> bool {
    let calls = [
        "assert_eq!(",
        "assert_ne!(",
        "matches!(",
        ".eq(",
        ".ne(",
        ".cmp(",
        ".starts_with(",
        ".ends_with(",
    ];
    let by_call = calls.iter().any(|call| statement.contains(call)) && statement.contains(EXPOSED);
    let by_operator = ["==", "!="].iter().any(|operator| {
        let sides: Vec<&str> = statement.split(operator).collect();
        sides.windows(2).any(|pair| {
            let left = pair[0].split_whitespace().last();
            let right = pair[1]
                .trim_start_matches(['&', '*', ' '])
                .split([' ', ','])
                .next();
            left.is_some_and(is_secret) || right.is_some_and(is_secret)
        })
    });
    by_call || by_operator
}

const EXPOSED: &str = ".expose()";

/// Whether an operand is the bytes themselves: not their length, nor a state that is named after them.
fn is_secret(operand: &str) -> bool {
    let value = ["()", ".as_bytes", ".as_ref", ".as_slice"]
        .iter()
        .fold(operand, |rest, view| rest.trim_end_matches(view))
        .trim_end_matches("()");
    let name = value
        .rsplit(['.', '&', '*', '(', '!'])
        .next()
        .unwrap_or_default();
    let is_named = SECRET_NAMES.iter().any(|secret| {
        let rest = name.strip_suffix(secret);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
    });
    is_named || (operand.contains(EXPOSED) && !operand.contains(".len()"))
}
