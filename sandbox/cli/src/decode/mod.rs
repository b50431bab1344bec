//! `tapcore decode`: names every tag and bit of what a card or a reader said, and every object of a payment code.

mod merchant;

use std::io::{Write, stdin, stdout};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, ValueEnum};
use sandbox_terminal::scan::{CPM_BEGIN, MPM_BEGIN};
use sandbox_terminal::trace::{Decoder, Node, Scheme};

/// Explains bytes tag by tag and bit by bit.
#[derive(Debug, Args)]
pub(crate) struct DecodeArgs {
    /// TLV, a command, an answer or a data object list in hexadecimal, with or without spaces; or the text of a payment
    /// code, consumer-presented (base64) or merchant-presented; `-` reads a conversation from standard input, a message in
    /// each line
    #[arg(value_name = "HEX", required = true)]
    hex: Vec<String>,
    /// Show card numbers, names and PIN data as well
    #[arg(long)]
    reveal: bool,
    /// By whose layout loose values are read [default: of the application that the data names, else UnionPay's]
    #[arg(long, value_name = "SCHEME")]
    scheme: Option<SchemeName>,
    /// The PDOL or CDOL by which the data of a GPO or GENERATE AC is cut up
    #[arg(long, value_name = "HEX")]
    dol: Option<String>,
    /// Print one JSON object for each message
    #[arg(long)]
    json: bool,
}

/// A scheme, as it is named on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SchemeName {
    /// Kernel 7.
    Unionpay,
    /// Kernel 3.
    Visa,
    /// Kernel 2.
    Mastercard,
    /// Any other.
    Other,
}

impl From<SchemeName> for Scheme {
    fn from(name: SchemeName) -> Self {
        match name {
            SchemeName::Unionpay => Self::UnionPay,
            SchemeName::Visa => Self::Visa,
            SchemeName::Mastercard => Self::Mastercard,
            SchemeName::Other => Self::Other,
        }
    }
}

/// Prints what the bytes say; an error names the place where they make no sense.
pub(crate) fn run(args: &DecodeArgs) -> anyhow::Result<ExitCode> {
    let mut decoder = Decoder::for_person(args.reveal, args.scheme.map(Scheme::from));
    if let Some(list) = &args.dol {
        let list = bytes(list).context("--dol")?;
        decoder.set_list(&list).context("--dol")?;
    }
    if args.hex != ["-"] {
        explain(&mut decoder, &args.hex.join(" "), args.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut explained = 0;
    for (at, line) in stdin().lines().enumerate() {
        let line = line.context("standard input cannot be read")?;
        let line = line.trim();
        // Logs mark the direction, and people their notes.
        let message = line.trim_start_matches("->").trim_start_matches("<-");
        if message.is_empty() || message.starts_with('#') {
            continue;
        }
        explain(&mut decoder, message, args.json).with_context(|| format!("line {}", at + 1))?;
        explained += 1;
    }
    if explained == 0 {
        bail!("standard input holds nothing to decode");
    }
    Ok(ExitCode::SUCCESS)
}

fn explain(decoder: &mut Decoder, text: &str, json: bool) -> anyhow::Result<()> {
    let node = node(decoder, text.trim())?;
    let told = match json {
        true => format!("{}\n", serde_json::to_string(&node)?),
        false => node.to_text(0),
    };
    stdout()
        .write_all(told.as_bytes())
        .context("standard output cannot be written")
}

fn node(decoder: &mut Decoder, text: &str) -> anyhow::Result<Node> {
    if text.starts_with(MPM_BEGIN) {
        return merchant::explain(text);
    }
    if text.starts_with(CPM_BEGIN) {
        let code = STANDARD.decode(text).map_err(|why| {
            anyhow!("the consumer-presented code is no sound base64: {why}; scan it again")
        })?;
        return Ok(decoder.presented(&code)?);
    }
    Ok(decoder.explain(&bytes(text)?)?)
}

/// Hexadecimal with anything blank in it, and colons, as some tools print bytes.
fn bytes(text: &str) -> anyhow::Result<Vec<u8>> {
    let blank = |letter: char| letter.is_whitespace() || letter == ':';
    let wrong = |letter: &(usize, char)| !blank(letter.1) && !letter.1.is_ascii_hexdigit();
    if let Some((at, letter)) = text.chars().enumerate().find(wrong) {
        bail!("character {} is {letter:?}, no hexadecimal digit", at + 1);
    }
    let digits: String = text.chars().filter(|letter| !blank(*letter)).collect();
    if !digits.len().is_multiple_of(2) {
        bail!(
            "{} hexadecimal digits are no whole number of bytes",
            digits.len()
        );
    }
    hex::decode(digits).map_err(|why| anyhow!(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_taken_as_tools_print_them() {
        assert_eq!(bytes("9f 26:08\t0A\n").unwrap(), [0x9F, 0x26, 0x08, 0x0A]);
        let wrong = |text: &str| bytes(text).unwrap_err().to_string();
        assert_eq!(wrong("9F x"), "character 4 is 'x', no hexadecimal digit");
        assert_eq!(
            wrong("9F2"),
            "3 hexadecimal digits are no whole number of bytes"
        );
    }
}
