//! The core against the bare libraries under it: `cargo xtask bench`, or `cargo bench --bench tapcore -- --only vault`.
//!
//! One file per subject. A bench has a name `subject.what`, and measures Tapcore's own code and a *floor*: the same
//! work by ring, des or rusqlite alone, in the same run and in turn, so that the ratio means something on any machine.
//! To add one, write a [`Bench`] into its subject's `BENCHES`; a new subject is one more line in [`SUBJECTS`].

#[path = "../../tests/fixtures/armed.rs"]
mod armed;
mod backend;
mod code;
mod counting;
mod installed;
mod kept;
mod measure;
mod phone;
mod tap;
mod vault;

use std::path::Path;

use measure::Reading;

/// One bench.
struct Bench {
    /// `subject.what`.
    name: &'static str,
    /// Measures it; sets up whatever it needs.
    run: fn() -> Reading,
}

const SUBJECTS: &[&[Bench]] = &[
    vault::BENCHES,
    backend::BENCHES,
    code::BENCHES,
    tap::BENCHES,
    phone::BENCHES,
];

/// Prints one JSON object per bench, with its unit: microseconds unless something is counted.
fn main() {
    let words: Vec<String> = std::env::args().collect();
    if let [_, flag, name, folder] = words.as_slice()
        && flag == "--child"
    {
        return phone::child(name, Path::new(folder));
    }
    // Cargo says `--bench` as well, which this program knows.
    let mut arguments = words
        .into_iter()
        .skip_while(|word| word != "--only")
        .skip(1);
    let prefix = arguments.next().unwrap_or_default();
    for bench in SUBJECTS.iter().copied().flatten() {
        if bench.name.starts_with(&prefix) {
            println!("{}", (bench.run)().to_json(bench.name));
        }
    }
}
