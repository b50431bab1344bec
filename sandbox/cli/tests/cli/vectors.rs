//! `tapcore vectors`: agreement, and everything that must not pass for it.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{Ended, tapcore};

const PUBLISHED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/vectors/emv-ac.json"
);

fn published() -> Value {
    serde_json::from_str(&std::fs::read_to_string(PUBLISHED).unwrap()).unwrap()
}

fn check(content: &str) -> Ended {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("vectors.json");
    std::fs::write(&file, content).unwrap();
    tapcore(&["vectors".as_ref(), file.as_os_str()])
}

#[test]
fn all_published_vectors_agree() {
    let checked = tapcore(&["vectors", PUBLISHED]).exits(0);
    let count = published()["vectors"].as_array().unwrap().len().to_string();
    assert!(
        checked.out.contains("emv_ac") && checked.out.contains(&count),
        "{checked:?}"
    );
}

#[test]
fn a_changed_vector_is_noticed_in_each_of_its_results() {
    let names = [
        "icc_master_key",
        "session_key",
        "luk",
        "ac_by_session_key",
        "ac_by_luk",
    ];
    for name in names {
        let mut changed = published();
        let text = changed["vectors"][0][name].as_str().unwrap().to_owned();
        let digit = if text.starts_with('0') { "1" } else { "0" };
        changed["vectors"][0][name] = json!(format!("{digit}{}", &text[1..]));
        let checked = check(&changed.to_string()).exits(1);
        assert!(checked.err.contains("differs"), "{name}: {checked:?}");
    }
}

#[test]
fn an_unknown_kind_is_no_agreement() {
    let mut more = published();
    more["vectors"]
        .as_array_mut()
        .unwrap()
        .push(json!({"kind": "tarot"}));
    check(&more.to_string()).says(1, &["tarot"]);
    check(r#"{"vectors":[{}]}"#).says(1, &["kind"]);
}

#[test]
fn nothing_checked_is_no_agreement() {
    check(r#"{"vectors":[]}"#).says(1, &["nothing was checked"]);
    for content in [
        "",
        "[]",
        "{}",
        "\u{0}\u{1}",
        r#"{"vectors":[{"kind":"emv_ac"}]}"#,
    ] {
        let checked = check(content).exits(1);
        assert!(
            !checked.err.is_empty() && checked.out.is_empty(),
            "{checked:?}"
        );
    }
    tapcore(&["vectors", "/nowhere/vectors.json"]).says(1, &["cannot be read"]);
}
