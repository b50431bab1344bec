//! The rules of `deny.toml` by cargo's own word, without `cargo-deny`: what the two agree on holds wherever
//! the tests run.

use crate::paths;
use crate::step::cargo;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

#[derive(Deserialize)]
struct Rules {
    graph: Graph,
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
    advisories: Advisories,
}

#[derive(Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
    exceptions: Vec<LicenseException>,
}

#[derive(Deserialize)]
struct LicenseException {
    #[serde(rename = "crate")]
    name: String,
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Bans {
    multiple_versions: String,
    deny: Vec<Exception>,
    skip: Vec<Exception>,
    skip_tree: Vec<Exception>,
}

#[derive(Deserialize)]
struct Advisories {
    ignore: Vec<Exception>,
}

/// A crate (`name` or `name@version`) or an advisory, and why it is named.
#[derive(Deserialize)]
struct Exception {
    #[serde(alias = "crate")]
    id: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    unknown_registry: String,
    unknown_git: String,
    allow_registry: Vec<String>,
    allow_git: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

fn rules() -> Rules {
    let text = fs::read_to_string(paths::root().join("deny.toml")).unwrap();
    toml::from_str(&text).unwrap()
}

/// What cargo prints.
fn ask_cargo(arguments: &[&str], target_flag: &str, targets: &[String]) -> String {
    let mut command = cargo();
    command.args(arguments).args(["--offline", "--locked"]);
    for target in targets {
        command.args([target_flag, target]);
    }
    let mut output = command.output().unwrap();
    if !output.status.success() {
        // A machine that has only built for itself lacks the crates of the other targets.
        cargo()
            .args(["fetch", "--quiet", "--locked"])
            .status()
            .unwrap();
        output = command.output().unwrap();
    }
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// What the workspace is built from, for the targets that the rules name.
fn metadata(rules: &Rules) -> Metadata {
    let asked = ["metadata", "--format-version", "1"];
    let json = ask_cargo(&asked, "--filter-platform", &rules.graph.targets);
    serde_json::from_str(&json).unwrap()
}

/// Names and versions of what the core is built from, without what only its tests need.
fn core(rules: &Rules) -> BTreeMap<String, BTreeSet<String>> {
    let asked = [
        "tree",
        "--package",
        "tapcore",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ];
    let tree = ask_cargo(&asked, "--target", &rules.graph.targets);
    let mut core = BTreeMap::<String, BTreeSet<String>>::new();
    for line in tree.lines() {
        if let Some((name, rest)) = line.split_once(" v") {
            let version = rest.split(' ').next().unwrap_or_default();
            core.entry(name.into()).or_default().insert(version.into());
        }
    }
    core
}

#[test]
fn s43_licences_bans_and_sources() {
    let rules = rules();
    let metadata = metadata(&rules);
    assert!(
        metadata.packages.len() > 100,
        "cargo named too few packages"
    );
    let mut wrong = Vec::new();
    licences(&rules.licenses, &metadata, &mut wrong);
    bans(&rules.bans, &metadata, &core(&rules), &mut wrong);
    sources(&rules.sources, &metadata, &mut wrong);
    let lists = [
        &rules.bans.deny,
        &rules.bans.skip,
        &rules.bans.skip_tree,
        &rules.advisories.ignore,
    ];
    for exception in lists.into_iter().flatten() {
        if exception.reason.split(' ').count() < 4 {
            wrong.push(format!("{}: no reason that says anything", exception.id));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn licences(rules: &Licenses, metadata: &Metadata, wrong: &mut Vec<String>) {
    for package in &metadata.packages {
        let exception = rules.exceptions.iter().find(|one| one.name == package.name);
        let text = package.license.as_deref().unwrap_or_default();
        let allowed = |name: &str| {
            rules.allow.contains(name) || exception.is_some_and(|one| one.allow.contains(name))
        };
        if !satisfied(text, &allowed) {
            wrong.push(format!(
                "{} {}: licence {text:?}",
                package.name, package.version
            ));
        }
        if exception.is_some() && satisfied(text, &|name| rules.allow.contains(name)) {
            wrong.push(format!("{}: needs no exception", package.name));
        }
    }
    for exception in &rules.exceptions {
        if !metadata
            .packages
            .iter()
            .any(|package| package.name == exception.name)
        {
            wrong.push(format!("{}: an exception for nothing", exception.name));
        }
    }
}

fn bans(
    rules: &Bans,
    metadata: &Metadata,
    core: &BTreeMap<String, BTreeSet<String>>,
    wrong: &mut Vec<String>,
) {
    if rules.multiple_versions != "deny" {
        wrong.push("several versions of a crate are allowed".into());
    }
    for package in &metadata.packages {
        if let Some(ban) = rules.deny.iter().find(|ban| ban.id == package.name) {
            wrong.push(format!("{}: banned, {}", package.name, ban.reason));
        }
    }
    assert!(core.len() > 50, "cargo named too few packages");
    let several: Vec<_> = core.iter().filter(|(_, all)| all.len() > 1).collect();
    let excused = |name: &str, version: &str| {
        rules.skip.iter().any(|skip| {
            skip.id.split_once('@').is_some_and(|(crate_name, wanted)| {
                let rest = version.strip_prefix(wanted);
                crate_name == name
                    && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
        })
    };
    for (name, all) in &several {
        if all.iter().filter(|version| !excused(name, version)).count() != 1 {
            wrong.push(format!("{name}: versions {all:?} in the core"));
        }
    }
    for skip in &rules.skip {
        let name = skip.id.split('@').next().unwrap_or_default();
        if !several.iter().any(|(several, _)| *several == name) {
            wrong.push(format!("{}: an exception for nothing", skip.id));
        }
    }
    for root in &rules.skip_tree {
        if core.contains_key(&root.id) {
            wrong.push(format!("{}: ships in the core", root.id));
        }
    }
}

fn sources(rules: &Sources, metadata: &Metadata, wrong: &mut Vec<String>) {
    let strict = rules.unknown_registry == "deny" && rules.unknown_git == "deny";
    if !strict || !rules.allow_git.is_empty() {
        wrong.push("unknown sources are allowed".into());
    }
    let crates_io = ["https://github.com/rust-lang/crates.io-index"];
    if rules.allow_registry != crates_io {
        wrong.push("another registry than crates.io is allowed".into());
    }
    for package in &metadata.packages {
        // None is a path, and a path that leaves the checkout would not build elsewhere.
        let known = package.source.as_deref().is_none_or(|source| {
            let registry = source.strip_prefix("registry+");
            registry.is_some_and(|registry| rules.allow_registry.iter().any(|one| one == registry))
        });
        if !known {
            wrong.push(format!("{}: from {:?}", package.name, package.source));
        }
    }
}

/// Whether an SPDX expression can be satisfied; `/` is how older manifests write OR.
fn satisfied(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &words[..];
    let value = any(&mut rest, allowed);
    value && rest.is_empty()
}

fn any(rest: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut value = all(rest, allowed);
    while let ["OR", tail @ ..] = *rest {
        *rest = tail;
        value |= all(rest, allowed);
    }
    value
}

fn all(rest: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut value = one(rest, allowed);
    while let ["AND", tail @ ..] = *rest {
        *rest = tail;
        value &= one(rest, allowed);
    }
    value
}

fn one(rest: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> bool {
    match *rest {
        ["(", tail @ ..] => {
            *rest = tail;
            let value = any(rest, allowed);
            let [")", tail @ ..] = *rest else {
                return false;
            };
            *rest = tail;
            value
        }
        [name, "WITH", exception, tail @ ..] => {
            *rest = tail;
            allowed(&format!("{name} WITH {exception}"))
        }
        [name, tail @ ..] => {
            *rest = tail;
            allowed(name)
        }
        [] => false,
    }
}

#[test]
fn licence_expressions_are_read_as_spdx_says() {
    let allowed = |name: &str| ["MIT", "ISC", "Unicode-3.0"].contains(&name);
    for good in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/Apache-2.0",
        "Apache-2.0 / MIT",
        "MIT AND ISC",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR MIT",
        "GPL-3.0 AND ISC OR MIT",
    ] {
        assert!(satisfied(good, &allowed), "{good}");
    }
    for bad in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(MIT OR ISC) AND GPL-3.0",
        "MIT WITH Something",
        "(MIT",
        "MIT ISC",
    ] {
        assert!(!satisfied(bad, &allowed), "{bad}");
    }
}
