//! Codes beside what they were made of, or beside what we read in them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tapcore::code::mpm::{self, Initiation, MerchantAccount, MerchantCode, Template, Tip};
use tapcore::code::{CodeFormat, numeric};

use crate::random::{Random, numeric_code, presented_code, shown};
use crate::{Failure, Lines};

/// How many codes of each kind.
const EACH: usize = 50;

/// Merchants' codes of others, which the fuzzer begins with too.
const MERCHANTS: &str = "fuzz/seeds/code_mpm";

pub(crate) fn write(lines: &mut Lines, random: &mut Random) -> Result<(), Failure> {
    let formats = [
        CodeFormat::default(),
        CodeFormat::new("73", 10, 6, true)?,
        CodeFormat::new("73", 14, 8, false)?,
    ];
    for format in formats.iter().cycle().take(EACH) {
        lines.add(&one_time_password(random, format)?)?;
    }
    for _ in 0..EACH {
        let code = presented_code(random)?;
        lines.add(&json!({ "kind": "cpm", "text": code.text, "objects": code.objects }))?;
    }
    for file in merchants()? {
        lines.add(&merchant(&fs::read_to_string(file)?))?;
    }
    lines.end()
}

fn one_time_password(random: &mut Random, format: &CodeFormat) -> Result<Value, Failure> {
    let code = numeric_code(random, format)?;
    Ok(json!({
        "kind": "otp",
        "seed": shown(&code.seed),
        "alias": code.alias,
        "step": code.step,
        "otp": numeric::parse(format, &code.digits)?.otp,
    }))
}

fn merchants() -> Result<Vec<PathBuf>, Failure> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(MERCHANTS);
    let files = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files: Vec<PathBuf> = files.collect::<Result<_, _>>()?;
    files.sort();
    Ok(files)
}

/// What we read in a merchant's code, in the code's own terms.
fn merchant(text: &str) -> Value {
    let code = match mpm::parse(text) {
        Ok(code) => code,
        Err(reason) => {
            return json!({ "kind": "mpm", "text": text, "refused": reason.to_string() });
        }
    };
    let (fee, percent) = match code.tip {
        Some(Tip::Fixed(fee)) => (Some(fee.minor), None),
        Some(Tip::HundredthsOfPercent(hundredths)) => (None, Some(hundredths)),
        Some(Tip::Asked) | None => (None, None),
    };
    json!({
        "kind": "mpm",
        "text": text,
        "dynamic": code.initiation == Initiation::Dynamic,
        "currency": code.currency.code(),
        "exponent": code.currency.exponent(),
        "amount": code.amount.map(|amount| amount.minor),
        "fee": fee,
        "percent": percent,
        "objects": objects(&code),
    })
}

/// The objects by id, those of templates by both ids.
fn objects(code: &MerchantCode) -> BTreeMap<String, String> {
    let mut found = vec![
        (52, code.category.clone()),
        (58, code.country.clone()),
        (59, code.name.clone()),
        (60, code.city.clone()),
    ];
    found.extend(
        code.postal_code
            .clone()
            .map(|postal_code| (61, postal_code)),
    );
    found.extend(code.tip.map(|tip| (55, indicator(tip).to_owned())));
    let mut templates: Vec<&Template> = code.unreserved.iter().collect();
    for account in &code.accounts {
        match account {
            MerchantAccount::Reserved { id, value } => found.push((*id, value.clone())),
            MerchantAccount::Template(template) => templates.push(template),
        }
    }
    let found = found.into_iter();
    let mut objects: BTreeMap<_, _> = found
        .map(|(id, value)| (format!("{id:02}"), value))
        .collect();
    for template in templates {
        add_inner(
            &mut objects,
            template.id,
            &[(0, template.identifier.clone())],
        );
        add_inner(&mut objects, template.id, &template.objects);
    }
    add_inner(&mut objects, 62, &code.additional.objects);
    if let Some(local) = &code.local {
        let mut names = vec![(0, local.language.clone()), (1, local.name.clone())];
        names.extend(local.city.clone().map(|city| (2, city)));
        add_inner(&mut objects, 64, &names);
    }
    objects
}

fn indicator(tip: Tip) -> &'static str {
    match tip {
        Tip::Asked => "01",
        Tip::Fixed(_) => "02",
        Tip::HundredthsOfPercent(_) => "03",
    }
}

fn add_inner(objects: &mut BTreeMap<String, String>, outer: u8, inner: &[(u8, String)]) {
    let inner = inner.iter();
    objects.extend(inner.map(|(id, value)| (format!("{outer:02}.{id:02}"), value.clone())));
}
