//! The `tapcore` command: sandbox, headless phone, POS, decoder and demo. Its forms are a contract that scripts rely on.

mod decode;
mod demo;
mod phone;
mod pos;
mod sandbox;
mod style;
mod symbol;
mod vectors;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A mobile payment wallet and everything it meets, on one computer.
///
/// Without a command it runs the demo.
#[derive(Parser)]
#[command(name = "tapcore", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    demo: demo::DemoArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Show the whole system at work, from enrolment to receipt
    Demo(demo::DemoArgs),
    /// Run provider, network, banks and acquirer
    Sandbox(sandbox::SandboxArgs),
    /// A phone without a screen
    Phone(phone::PhoneArgs),
    /// A shop's terminal
    Pos(pos::PosArgs),
    /// Name every tag and bit of a card's or a reader's bytes
    Decode(decode::DecodeArgs),
    /// Check test vectors with the core and with a second opinion
    Vectors(vectors::VectorsArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command.unwrap_or(Command::Demo(cli.demo)) {
        Command::Demo(args) => demo::run(args).await,
        Command::Sandbox(args) => sandbox::run(args).await,
        Command::Phone(args) => phone::run(args).await,
        Command::Pos(args) => pos::run(args).await,
        Command::Decode(args) => decode::run(&args),
        Command::Vectors(args) => vectors::run(&args),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
