//! The walls of the house: who may name what in the core.

use std::fs;
use std::path::{Path, PathBuf};

/// Every source file under `src`, with its path relative to it.
fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => walk(&path, found),
                false => found.push(path),
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    found.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    assert!(
        found.len() > 20,
        "the sources are not where this test looks"
    );
    found
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path.strip_prefix(&root).unwrap().to_owned(), text)
        })
        .collect()
}

/// Fails with every line outside `allowed` that holds one of `words`.
fn only_in(words: &[&str], allowed: &[&str]) {
    let mut trespasses = Vec::new();
    for (path, text) in sources() {
        if allowed.iter().any(|place| path.starts_with(place)) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                trespasses.push(format!("src/{}:{}: {line}", path.display(), number + 1));
            }
        }
    }
    assert!(trespasses.is_empty(), "{}", trespasses.join("\n"));
}

#[test]
fn uniffi_is_named_in_the_ffi_folder_only() {
    only_in(&["uniffi::"], &["ffi", "lib.rs"]);
}

#[test]
fn sql_is_spoken_in_the_store_only() {
    only_in(&["rusqlite::"], &["store"]);
}

#[test]
fn http_and_tls_are_spoken_in_the_backend_only() {
    only_in(&["reqwest::", "rustls::"], &["backend"]);
}

#[test]
fn secrets_are_read_in_the_vault_and_the_cryptogram_functions_only() {
    only_in(
        &[".expose("],
        &[
            "vault",
            "emv/cryptogram.rs",
            "emv/derivation.rs",
            "code/numeric.rs",
        ],
    );
}

#[test]
fn pure_modules_read_no_clock() {
    let doors = ["backend", "ffi", "store", "vault", "wallet"];
    only_in(
        &["SystemTime::now", "Instant::now", "OsRng", "SystemRandom"],
        &doors,
    );
}

/// Each key has one purpose: a label that derives or names a key, or tells apart what is signed, stands in the code once.
#[test]
fn s06_every_label_has_one_purpose() {
    let mut found: std::collections::BTreeMap<String, Vec<PathBuf>> = Default::default();
    for (path, text) in sources() {
        if path.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        // What a file's tests repeat is no use of its own.
        let code = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default();
        for literal in code.split('"').skip(1).step_by(2) {
            let rest = literal.strip_prefix("tapcore");
            let rest = rest.and_then(|rest| rest.strip_prefix([' ', '-']));
            let plain =
                |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b' ' || b == b'-';
            if rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(plain)) {
                found
                    .entry(literal.to_owned())
                    .or_default()
                    .push(path.clone());
            }
        }
    }
    assert!(
        found.len() >= 23,
        "the labels are not where this test looks: {found:?}"
    );
    for (label, paths) in found {
        assert_eq!(paths.len(), 1, "{label} is used in {paths:?}");
    }
}

/// No exported function answers key bytes: the records that hold any go in, never out.
#[test]
fn s01_nothing_that_is_exported_answers_a_key() {
    let ffi: String = sources()
        .into_iter()
        .filter(|(path, _)| path.starts_with("ffi"))
        .map(|(_, text)| text)
        .collect();
    let answers = ffi
        .split("pub async fn ")
        .chain(ffi.split("pub fn "))
        .skip(1)
        .filter_map(|text| text.split('{').next())
        .filter_map(|signature| signature.split("->").nth(1));
    let mut seen = 0;
    for answer in answers {
        seen += 1;
        let bytes = answer.contains("Vec<u8>") || answer.contains("SecretBytes");
        assert!(!bytes, "an exported function answers {answer}");
    }
    assert!(seen > 30, "the facade is not where this test looks");
}

/// The exported types by name, with what stands between their braces.
fn exported_types(ffi: &str) -> std::collections::BTreeMap<&str, &str> {
    let kinds = ["pub struct ", "pub enum ", "pub trait "];
    let found = kinds.iter().flat_map(|kind| ffi.split(kind).skip(1));
    let found = found.filter_map(|text| {
        let (head, body) = text.split_once('{')?;
        let (body, _) = body.split_once("\n}")?;
        let name = head.split(|c: char| !c.is_alphanumeric()).next()?;
        // A struct of another shape, as those that hold an `Arc`, is no record.
        (!head.contains(';') && !head.contains('(')).then_some((name, body))
    });
    found.collect()
}

/// No record that is answered, or handed to the app by a callback, has a field of bytes but those named here.
#[test]
fn s01_no_field_of_what_is_exported_holds_a_key() {
    let sources = sources();
    let in_ffi = sources.iter().filter(|(path, _)| path.starts_with("ffi"));
    let ffi: String = in_ffi.map(|(_, text)| text.as_str()).collect();
    let types = exported_types(&ffi);
    let answers = ffi.split("pub async fn ").chain(ffi.split("pub fn "));
    let answers = answers.skip(1).filter_map(|text| text.split('{').next());
    let mut met: Vec<String> = answers
        .filter_map(|signature| signature.split("->").nth(1))
        .map(str::to_owned)
        .collect();
    // Callbacks carry out of the core what they are given. The key store alone is given keys: to wrap them.
    met.extend(["WalletObserver", "TapResponder", "LogSink"].map(str::to_owned));
    let mut reached = std::collections::BTreeSet::new();
    while let Some(text) = met.pop() {
        for word in text.split(|c: char| !c.is_alphanumeric()) {
            if let Some((name, body)) = types.get_key_value(word)
                && reached.insert(*name)
            {
                met.push((*body).to_owned());
            }
        }
    }
    assert!(
        reached.len() > 15,
        "the records are not where this test looks: {reached:?}"
    );
    let with_bytes: Vec<&str> = reached
        .into_iter()
        .filter(|name| {
            let lines = types[name].lines().map(str::trim);
            let mut fields = lines.filter(|line| !line.starts_with("//"));
            fields.any(|field| field.contains("u8>") || field.contains("Secret"))
        })
        .collect();
    // An answer to a reader, by return or by callback; what the platform wrapped, for it to unwrap in its prompt; what is
    // sealed for the wallet of the phone's maker; and the modules of a code, dark and light.
    assert_eq!(
        with_bytes,
        [
            "Answer",
            "CodeSymbol",
            "MakerPass",
            "TapResponder",
            "VerificationRequest"
        ]
    );
}

/// rustls' and reqwest's ways around the usual checks: one, in the verifier that wraps them, and nowhere else.
#[test]
fn s35_no_path_accepts_an_invalid_certificate() {
    only_in(&["dangerous()", "::danger::"], &["backend/pins.rs"]);
    only_in(
        &[
            "danger_accept",
            "tls_danger",
            "accept_invalid",
            "with_root_certificates",
            "with_protocol_versions",
        ],
        &[],
    );
    let pins =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/backend/pins.rs"));
    let pins = pins.unwrap();
    assert_eq!(pins.matches("dangerous()").count(), 1);
    let asserted = "ServerCertVerified::assertion";
    assert!(
        !pins.contains(asserted),
        "the usual verifier says so, nobody else"
    );
}
