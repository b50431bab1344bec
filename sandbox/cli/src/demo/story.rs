//! The order of events: enrolment, card, three taps and two lies, and what the statement says in between.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use sandbox_terminal::amount;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::children::{self, Running, arguments};
use super::evidence::{Evidence, Ledger, Statement};
use super::relay::Relay;
use super::tell::Teller;

/// A test card of bank a.
const CARD: &str = "6228480000000015";

/// What the shop asks for in the two genuine taps.
const PAID: [&str; 2] = ["12.50", "38.00"];

/// The same, in minor units, to be found in the books.
const PAID_MINOR: [i64; 2] = [1250, 3800];

/// What the third card is told, and what the network is told instead.
const TAMPERED: (&str, &str) = ("9.90", "990.00");

/// How long the record of a payment may take from the network to the phone.
const POSTING: Duration = Duration::from_secs(20);

/// What is left when the story is over: documents that anybody could fetch.
pub(super) struct Told {
    network: Ledger,
    bank: Ledger,
    offline: Statement,
    last: Statement,
}

impl Told {
    pub(super) fn evidence(&self, elapsed_ms: u64) -> Evidence {
        Evidence::gather(&self.network, &self.last, elapsed_ms)
    }

    pub(super) fn complaints(&self, evidence: &Evidence) -> Vec<String> {
        evidence.complaints(PAID_MINOR, &self.bank, &self.offline, &self.last)
    }
}

/// The parts of `pos tap --json` that the story shows.
#[derive(Debug, Deserialize)]
struct TapResult {
    result: String,
    reason: Option<String>,
    atc: Option<u32>,
    token: Option<String>,
    merchant: String,
    authorisation: Option<String>,
    receipt: Option<PathBuf>,
    presented_twice: Option<Presented>,
}

#[derive(Debug, Deserialize)]
struct Presented {
    result: String,
    reason: Option<String>,
}

/// Everything that is running, and where.
struct Stage<'a> {
    tell: &'a Teller,
    folder: &'a Path,
    trace: bool,
    sandbox: Running,
    acquirer: String,
    ca: PathBuf,
    relay: Relay,
}

/// Tells the story from beginning to end.
pub(super) async fn tell(tell: &Teller, folder: &Path, trace: bool) -> anyhow::Result<Told> {
    tell.line("A phone, a shop's terminal, and a sandbox with wallet provider, payment network, two banks and acquirer.");
    tell.line("");
    let mut stage = tell
        .during("Starting the sandbox", Stage::set(tell, folder, trace))
        .await?;
    tell.say(
        "Sandbox",
        "provider, network, two banks and acquirer are listening, each with its own database",
    );
    tell.during("Enrolling the phone", stage.enrol()).await?;
    stage.add_card().await?;

    let first = stage.first_tap().await?;
    let offline = stage.without_network().await?;
    let last = stage.back_online(&offline).await?;

    stage.receipt(&first)?;
    let network = stage.ledger("network").await?;
    let bank = stage.ledger("bank-a").await?;
    let Stage { sandbox, .. } = stage;
    tell.during("Ending the sandbox", sandbox.stop()).await?;
    Ok(Told {
        network,
        bank,
        offline: offline.statement,
        last,
    })
}

/// What the two taps without a network left.
struct Offline {
    statement: Statement,
    second: Option<u32>,
    third: Option<u32>,
}

impl<'a> Stage<'a> {
    /// Starts the sandbox and the relay before it.
    async fn set(tell: &'a Teller, folder: &'a Path, trace: bool) -> anyhow::Result<Self> {
        let mut sandbox =
            Running::start(&arguments([&"sandbox", &"--data", &folder.join("sandbox")]))?;
        let ready = sandbox.event("ready", "the sandbox").await?;
        let text = |name: &str| {
            ready
                .get(name)
                .and_then(Value::as_str)
                .map(str::to_owned)
                .with_context(|| format!("the sandbox did not say its {name}"))
        };
        let provider = text("provider")?;
        let target = provider
            .trim_start_matches("https://")
            .trim_end_matches('/')
            .to_owned();
        let relay = Relay::open(target).await?;
        Ok(Self {
            tell,
            folder,
            trace,
            acquirer: text("acquirer")?,
            ca: text("ca")?.into(),
            sandbox,
            relay,
        })
    }

    fn phone(&self, words: &[&str]) -> Vec<OsString> {
        let mut all = arguments([&"phone", &"--data", &self.folder.join("phone")]);
        all.extend(words.iter().map(OsString::from));
        all
    }

    async fn enrol(&self) -> anyhow::Result<()> {
        let provider = format!("https://{}", self.relay.address());
        let mut command = self.phone(&["enrol", "--provider", &provider, "--ca"]);
        command.push(self.ca.clone().into());
        children::run(&command).await?.done("enrolling the phone")?;
        self.tell.say(
            "Enrolment",
            "the phone made its keys, and the provider knows it by them",
        );
        Ok(())
    }

    /// Types the card's number, waits for the SMS, types its code.
    async fn add_card(&mut self) -> anyhow::Result<()> {
        let expiry = format!(
            "12/{:02}",
            (time::OffsetDateTime::now_utc().year() + 3).rem_euclid(100)
        );
        let mut adding =
            Running::start(&self.phone(&["card", "add", "--number", CARD, "--expiry", &expiry]))?;
        let sandbox = &mut self.sandbox;
        let code = self
            .tell
            .during("Waiting for the bank's SMS", async {
                tokio::select! {
                    sms = sandbox.event("sms", "the sandbox") => sms,
                    why = adding.early_end() => bail!("adding the card failed: {why}"),
                }
            })
            .await?
            .get("code")
            .and_then(Value::as_str)
            .context("the bank's SMS holds no code")?
            .to_owned();
        self.tell.say(
            "Card",
            &format!(
                "…{} of bank a: the bank sent the code {code} by SMS",
                CARD.get(12..).unwrap_or_default()
            ),
        );
        adding.answer(&code).await?;
        self.tell
            .during("Fetching token and keys", adding.end())
            .await?
            .done("adding the card")?;
        self.tell.say("Token", "the code was right; a token and its first limited-use keys are on the phone, the card number is not");
        Ok(())
    }

    /// The phone's card, ready to be tapped.
    async fn serve(&self) -> anyhow::Result<(Running, String)> {
        let mut serving = Running::start(&self.phone(&["serve", "--tcp", "127.0.0.1:0"]))?;
        let ready = serving.event("ready", "the phone").await?;
        let address = ready
            .get("addr")
            .and_then(Value::as_str)
            .context("the phone did not say its address")?
            .to_owned();
        Ok((serving, address))
    }

    /// One tap at the shop, up to the phone's own word that it is over.
    async fn tap(
        &self,
        card: &mut (Running, String),
        amount: &str,
        lie: &[&str],
    ) -> anyhow::Result<TapResult> {
        let mut command = arguments([
            &"pos",
            &"--data",
            &self.folder.join("pos"),
            &"tap",
            &"--json",
        ]);
        for word in [
            "--amount",
            amount,
            "--card",
            &card.1,
            "--acquirer",
            &self.acquirer,
            "--ca",
        ] {
            command.push(word.into());
        }
        command.push(self.ca.clone().into());
        command.extend(lie.iter().map(OsString::from));
        if self.trace {
            command.push("--trace".into());
        }
        let ended = children::run(&command).await?;
        if self.trace {
            self.tell.trace(&ended.err);
        }
        let result = ended.json("the shop's terminal")?;
        card.0.event("tap", "the phone").await?;
        Ok(result)
    }

    async fn statement(&self) -> anyhow::Result<Statement> {
        children::run(&self.phone(&["statement", "--json"]))
            .await?
            .done("reading the statement")?
            .json("the statement")
    }

    /// Syncs until `settled` is content with the statement, or patience ends; the books decide, not this.
    async fn synced(&self, settled: impl Fn(&Statement) -> bool) -> anyhow::Result<Statement> {
        let until = Instant::now() + POSTING;
        loop {
            children::run(&self.phone(&["sync", "--json"]))
                .await?
                .done("syncing the phone")?;
            let statement = self.statement().await?;
            if settled(&statement) || Instant::now() >= until {
                return Ok(statement);
            }
            sleep(Duration::from_millis(300)).await;
        }
    }

    async fn first_tap(&self) -> anyhow::Result<TapResult> {
        let [amount, _] = PAID;
        let tap = self
            .tell
            .during("Tap 1", async {
                let mut card = self.serve().await?;
                let tap = self.tap(&mut card, amount, &[]).await?;
                card.0.stop().await?;
                anyhow::Ok(tap)
            })
            .await?;
        self.tell.say("Tap 1", &self.outcome(amount, &tap));
        let synced = self
            .synced(|statement| tap.atc.and_then(|atc| statement.state(atc)) == Some("matched"));
        let statement = self.tell.during("Syncing the phone", synced).await?;
        let matched = tap.atc.and_then(|atc| statement.state(atc)) == Some("matched");
        self.tell.say(
            "Statement",
            if matched {
                "the phone's entry and the bank's record have found each other"
            } else {
                "the bank's record has not come to the phone in time"
            },
        );
        self.tell.statement(&statement);
        Ok(tap)
    }

    /// Two taps while the provider is out of reach: one genuine, presented twice by the shop, and one tampered with.
    async fn without_network(&self) -> anyhow::Result<Offline> {
        let style = self.tell.style();
        self.relay.set_open(false);
        self.tell
            .say("Offline", "the phone cannot reach the provider any more");
        let [_, amount] = PAID;
        let (told, sent) = TAMPERED;
        let mut card = self
            .tell
            .during("Waking the phone's card", self.serve())
            .await?;
        let second = self
            .tell
            .during("Tap 2", self.tap(&mut card, amount, &["--present-twice"]))
            .await?;
        self.tell.say("Tap 2", &self.outcome(amount, &second));
        let again = second
            .presented_twice
            .as_ref()
            .map(|again| verdict(&again.result, again.reason.as_deref()));
        self.tell.say(
            "Replay",
            &format!(
                "the shop presents the same cryptogram again, the network answers: {}",
                style.red(&again.unwrap_or_else(|| "no answer".into()))
            ),
        );
        let third = self
            .tell
            .during("Tap 3", self.tap(&mut card, told, &["--send-amount", sent]))
            .await?;
        let refused = style.red(&verdict(&third.result, third.reason.as_deref()));
        self.tell.say(
            "Tampering",
            &format!("the card is told {told}, the network {sent}; the network answers: {refused}"),
        );
        self.tell
            .during("Ending the phone's card", card.0.stop())
            .await?;
        let statement = self
            .tell
            .during("Reading the statement", self.statement())
            .await?;
        self.tell.say("Statement", "what the phone knows by itself");
        self.tell.statement(&statement);
        Ok(Offline {
            statement,
            second: second.atc,
            third: third.atc,
        })
    }

    async fn back_online(&self, offline: &Offline) -> anyhow::Result<Statement> {
        self.relay.set_open(true);
        self.tell
            .say("Online", "the phone reaches the provider again");
        let state = |statement: &Statement, atc: Option<u32>| {
            atc.and_then(|atc| statement.state(atc)).map(str::to_owned)
        };
        let synced = self.synced(|statement| {
            state(statement, offline.second).as_deref() == Some("matched")
                && state(statement, offline.third).as_deref() != Some("pending")
        });
        let statement = self.tell.during("Syncing the phone", synced).await?;
        self.tell.say("Statement", "what the phone knows now");
        self.tell.statement(&statement);
        Ok(statement)
    }

    fn receipt(&self, tap: &TapResult) -> anyhow::Result<()> {
        let path = tap
            .receipt
            .as_ref()
            .context("the shop's terminal wrote no receipt")?;
        let text = std::fs::read_to_string(path).context("the receipt cannot be read")?;
        self.tell.say("Receipt", "of tap 1, signed by the acquirer");
        // The file carries key and signature in full; for a person their beginnings are enough.
        let shown = text.lines().map(|line| match line.char_indices().nth(72) {
            Some((at, _)) => format!("{}…\n", line.get(..at).unwrap_or(line)),
            None => format!("{line}\n"),
        });
        self.tell.block(&shown.collect::<String>());
        Ok(())
    }

    async fn ledger(&self, party: &str) -> anyhow::Result<Ledger> {
        let command = arguments([
            &"sandbox",
            &"ledger",
            &"--data",
            &self.folder.join("sandbox"),
            &"--party",
            &party,
            &"--json",
        ]);
        children::run(&command)
            .await?
            .done("reading a ledger")?
            .json("a ledger")
    }

    fn outcome(&self, amount: &str, tap: &TapResult) -> String {
        let style = self.tell.style();
        let said = verdict(&tap.result, tap.reason.as_deref());
        let said = if tap.result == "approved" {
            style.green(&said)
        } else {
            style.red(&said)
        };
        let detail = format!(
            "token {}, counter {}, authorisation {}",
            tap.token.as_deref().unwrap_or("-"),
            tap.atc.map_or_else(|| "-".into(), |atc| atc.to_string()),
            tap.authorisation.as_deref().unwrap_or("-")
        );
        let amount = amount::parse(amount).map_or_else(|_| amount.to_owned(), amount::show);
        format!(
            "{amount} yuan at {}: {said}\n             {}",
            tap.merchant,
            style.dim(&detail)
        )
    }
}

fn verdict(result: &str, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("{result} ({reason})"),
        None => result.to_owned(),
    }
}
