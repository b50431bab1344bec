//! Writes codes and symbols for other people's readers and libraries to check: see `tests/scan`.
//!
//! `cargo run --release --example codes -- FOLDER [--masks COUNT] [--seed NUMBER]` writes into the folder, as JSON lines,
//! `symbols.jsonl` (200 symbols of each kind), `masks.jsonl` (COUNT codes as QR codes with each mask, 200 unless told) and
//! `vectors.jsonl` (codes with what they were made of, or what we read in them), and `seed`. The same seed, the same files.

mod random;
mod symbols;
mod vectors;

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use random::Random;

/// Whatever goes wrong ends the program.
type Failure = Box<dyn Error>;

const USAGE: &str = "usage: codes FOLDER [--masks COUNT] [--seed NUMBER]";

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (folder, options) = words.split_first().ok_or(USAGE)?;
    let (mut masks, mut seed) = (200, 1);
    let (pairs, rest) = options.as_chunks::<2>();
    for [flag, value] in pairs {
        let number: u64 = value.parse().map_err(|_| USAGE)?;
        match flag.as_str() {
            "--masks" => masks = number,
            "--seed" => seed = number,
            _ => return Err(USAGE.into()),
        }
    }
    if !rest.is_empty() {
        return Err(USAGE.into());
    }
    let folder = Path::new(folder);
    fs::create_dir_all(folder)?;
    let random = &mut Random::new(seed);
    symbols::write(&mut Lines::new(folder, "symbols.jsonl")?, random)?;
    symbols::write_masks(&mut Lines::new(folder, "masks.jsonl")?, random, masks)?;
    vectors::write(&mut Lines::new(folder, "vectors.jsonl")?, random)?;
    fs::write(folder.join("seed"), seed.to_string())?;
    Ok(())
}

/// A file of JSON lines.
struct Lines(BufWriter<File>);

impl Lines {
    fn new(folder: &Path, name: &str) -> Result<Self, Failure> {
        let file = File::create(folder.join(name))?;
        Ok(Self(BufWriter::new(file)))
    }

    fn add(&mut self, line: &serde_json::Value) -> Result<(), Failure> {
        writeln!(self.0, "{line}").map_err(Into::into)
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.0.flush().map_err(Into::into)
    }
}
