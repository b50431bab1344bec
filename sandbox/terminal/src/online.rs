//! The way to the acquirer: registration at the first contact, authorisation of a cryptogram or a scanned code.
//!
//! Every payment is signed by the terminal's key and carries a trace number; an acquirer that cannot be reached
//! is asked again under the *same* trace number, which it answers the same, so no payment is ever asked for twice.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, bail};
use sandbox_kit::bind::bind;
use sandbox_kit::client::{CallError, Client};
use sandbox_kit::keys;
use sandbox_kit::problem::Problem;
use serde::{Deserialize, Serialize};

use crate::folder::{Folder, Registration};
use crate::scan::Code;

/// The waits between the attempts at one authorisation.
const BACK_OFF: [Duration; 5] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// How long a scan may take: the acquirer waits half a minute for a person's password, and then gives the payment up, which
/// the wallet's provider may put off for as long again.
const SCAN_PATIENCE: Duration = Duration::from_secs(75);
/// After so long without an answer to a scan the cashier is told why that may be.
const SILENCE: Duration = Duration::from_secs(3);
const CONFIRMING: &str = "no answer yet: the customer may have to confirm the payment on the phone";

/// What the acquirer is asked about a cryptogram.
#[derive(Debug, Clone, Serialize)]
pub struct Request {
    /// The terminal's number for this payment.
    pub trace: u32,
    /// RFC 3339, UTC.
    pub at: String,
    /// In minor units.
    pub amount_minor: i64,
    /// ISO 4217 letters.
    pub currency: String,
    /// Token number.
    pub token: String,
    /// Its expiry, `YYMM`.
    pub expiry: String,
    /// Its sequence number.
    pub psn: String,
    /// Data objects for the network, by tag; never 9F02.
    pub emv: BTreeMap<String, String>,
}

/// What the acquirer is asked about a scanned code.
#[derive(Debug, Clone, Serialize)]
pub struct ScanRequest {
    /// The terminal's number for this payment.
    pub trace: u32,
    /// RFC 3339, UTC.
    pub at: String,
    /// What was scanned.
    pub code: Code,
    /// In minor units.
    pub amount_minor: i64,
    /// ISO 4217 letters.
    pub currency: String,
    /// The merchant's order, which is paid once.
    pub order_id: String,
}

/// A payment that is asked for: what the acquirer's signature over the answer covers of it.
pub trait Payment: Serialize {
    /// Where it is asked for.
    const PATH: &'static str;
    /// What to say when the answer takes long; nothing where it should not.
    const SILENT: Option<&'static str>;
    /// The terminal's number for it.
    fn trace(&self) -> u32;
    /// In minor units.
    fn amount_minor(&self) -> i64;
    /// ISO 4217 letters.
    fn currency(&self) -> &str;
}

impl Payment for Request {
    const PATH: &'static str = "/v1/authorisations";
    const SILENT: Option<&'static str> = None;

    fn trace(&self) -> u32 {
        self.trace
    }

    fn amount_minor(&self) -> i64 {
        self.amount_minor
    }

    fn currency(&self) -> &str {
        &self.currency
    }
}

impl Payment for ScanRequest {
    const PATH: &'static str = "/v1/scans";
    const SILENT: Option<&'static str> = Some(CONFIRMING);

    fn trace(&self) -> u32 {
        self.trace
    }

    fn amount_minor(&self) -> i64 {
        self.amount_minor
    }

    fn currency(&self) -> &str {
        &self.currency
    }
}

/// What the acquirer answered.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Answer {
    /// `approved` or `declined`.
    pub result: String,
    /// Why it was declined.
    pub reason: Option<String>,
    /// The issuer's six digits, for an approval.
    pub authorisation: Option<String>,
    /// When, RFC 3339.
    pub at: String,
    /// The network's name for this payment.
    pub network_ref: Option<String>,
    /// The wallet provider's name for it, where a code was scanned.
    #[serde(default)]
    pub payment_id: Option<String>,
    /// Application transaction counter, where the scanned code has a card's cryptogram.
    #[serde(default)]
    pub atc: Option<u16>,
    /// That cryptogram, hex.
    #[serde(default)]
    pub arqc: Option<String>,
    /// The card's token number, masked.
    #[serde(default)]
    pub token: Option<String>,
    /// The acquirer's signature over what the receipt says, hex.
    pub receipt_signature: String,
}

/// How asking ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The acquirer answered, and its signature holds.
    Answered(Answer),
    /// Nobody knows: no answer came, or none that can be trusted. The sentence says which.
    Unclear(String),
}

/// The acquirer has forgotten this terminal; it must register again before it can take payments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unregistered;

impl std::fmt::Display for Unregistered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "the acquirer does not know this terminal any more; it registers again at the next tap",
        )
    }
}

impl std::error::Error for Unregistered {}

/// The acquirer, or somebody behind it, does not do what it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What it does not do.
    pub what: &'static str,
    /// The problem's stable word.
    pub code: String,
    /// Its sentence.
    pub detail: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { what, code, detail } = self;
        write!(f, "the acquirer does not {what}: {detail} ({code})")
    }
}

impl std::error::Error for Refused {}

/// The acquirer, as one terminal sees it.
pub struct Acquirer {
    pub(crate) client: Client,
    /// For answers that a person has to be waited for.
    patient: Client,
    pub(crate) url: String,
    registration: Registration,
}

impl Acquirer {
    /// Registers the terminal if this acquirer is not known yet, else uses what the folder kept.
    ///
    /// # Errors
    /// When the acquirer cannot be reached or refuses the terminal.
    pub async fn contact(folder: &Folder, url: &str, ca_pem: &[u8]) -> anyhow::Result<Self> {
        let url = url.trim_end_matches('/').to_owned();
        let registration = match folder.registration()? {
            Some(known) if known.acquirer == url => known,
            _ => {
                let told = register(folder, &url, ca_pem).await?;
                folder.keep_registration(&told)?;
                told
            }
        };
        let client = Client::new(
            ca_pem,
            folder.key().clone(),
            registration.terminal_id.as_str(),
        )?;
        let patient = client.clone().with_timeout(ca_pem, SCAN_PATIENCE)?;
        Ok(Self {
            client,
            patient,
            url,
            registration,
        })
    }

    /// What the acquirer told this terminal.
    #[must_use]
    pub fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Asks for one payment until there is an answer or patience ends. `progress` hears of every wait.
    ///
    /// # Errors
    /// When the acquirer's first word is that it does not take this request at all ([`Refused`], [`Unregistered`]). Once
    /// an earlier attempt may have arrived, such a refusal no longer says that nothing was paid, and the verdict is
    /// unclear.
    pub async fn authorise<P: Payment>(
        &self,
        request: &P,
        mut progress: impl FnMut(&str),
    ) -> anyhow::Result<Verdict> {
        let idempotency = sandbox_kit::bytes::to_hex(&sandbox_kit::bytes::random::<16>());
        let mut waits = BACK_OFF.iter();
        let mut may_have_arrived = false;
        loop {
            let outcome = self.attempt(request, &idempotency, &mut progress).await;
            let trouble = match outcome {
                Ok(answer) => return Ok(self.checked(request, answer)),
                Err(CallError::Refused(problem)) if problem.status < 500 && may_have_arrived => {
                    return Ok(Verdict::Unclear(format!(
                        "the acquirer gave no answer to trace {} at first, and now does not take it: {} ({})",
                        request.trace(),
                        problem.detail,
                        problem.code
                    )));
                }
                Err(CallError::Refused(problem)) if problem.status < 500 => {
                    return Err(refused("take the payment", problem));
                }
                Err(CallError::Refused(problem)) => problem.detail,
                Err(CallError::Unreachable(why) | CallError::Malformed(why)) => why,
            };
            may_have_arrived = true;
            let Some(wait) = waits.next() else {
                return Ok(Verdict::Unclear(format!(
                    "the acquirer gave no answer to trace {} ({trouble})",
                    request.trace()
                )));
            };
            progress(&format!(
                "the acquirer gives no answer ({trouble}); asking again"
            ));
            tokio::time::sleep(*wait).await;
        }
    }

    async fn attempt<P: Payment>(
        &self,
        request: &P,
        idempotency: &str,
        progress: &mut impl FnMut(&str),
    ) -> Result<Answer, CallError> {
        let url = format!("{}{}", self.url, P::PATH);
        let Some(silent) = P::SILENT else {
            return self.client.post(&url, request, Some(idempotency)).await;
        };
        let asked = self
            .patient
            .post::<P, Answer>(&url, request, Some(idempotency));
        let mut asked = pin!(asked);
        match tokio::time::timeout(SILENCE, asked.as_mut()).await {
            Ok(outcome) => outcome,
            Err(_) => {
                progress(silent);
                asked.await
            }
        }
    }

    /// Takes an answer only with the acquirer's signature over what the receipt will say.
    fn checked(&self, request: &impl Payment, answer: Answer) -> Verdict {
        let untrusted = |what: &str| {
            Verdict::Unclear(format!(
                "the acquirer's answer to trace {} {what}",
                request.trace()
            ))
        };
        if !matches!(answer.result.as_str(), "approved" | "declined") {
            return untrusted("is neither approved nor declined");
        }
        let message = bind(
            "tapcore-receipt-v1",
            &[
                self.registration.terminal_id.as_bytes(),
                request.trace().to_string().as_bytes(),
                request.amount_minor().to_string().as_bytes(),
                request.currency().as_bytes(),
                answer.result.as_bytes(),
                answer
                    .authorisation
                    .as_deref()
                    .unwrap_or_default()
                    .as_bytes(),
            ],
        );
        let (Ok(key), Ok(signature)) = (
            hex::decode(&self.registration.acquirer_key),
            hex::decode(&answer.receipt_signature),
        ) else {
            return untrusted("has a signature or key that is not hex");
        };
        if !keys::verify(&key, &message, &signature) {
            return untrusted("does not carry its signature");
        }
        Verdict::Answered(answer)
    }
}

/// What was answered to anything but a payment, or a sentence on why there is nothing.
pub(crate) fn understood<T>(answer: Result<T, CallError>, what: &'static str) -> anyhow::Result<T> {
    match answer {
        Ok(answer) => Ok(answer),
        Err(CallError::Refused(problem)) => Err(refused(what, problem)),
        Err(CallError::Unreachable(why)) => bail!(
            "the acquirer cannot be reached ({why}); is `tapcore sandbox` running, and is --ca its file?"
        ),
        Err(CallError::Malformed(why)) => {
            bail!("the acquirer's answer cannot be understood ({why})")
        }
    }
}

/// The error that a problem is: one that another registration mends, or a refusal.
fn refused(what: &'static str, problem: Problem) -> anyhow::Error {
    match problem.code.as_str() {
        "terminal_unknown" => Unregistered.into(),
        _ => Refused {
            what,
            code: problem.code,
            detail: problem.detail,
        }
        .into(),
    }
}

/// The first contact: the terminal proves its key and is told who it works for.
async fn register(folder: &Folder, url: &str, ca_pem: &[u8]) -> anyhow::Result<Registration> {
    #[derive(Serialize)]
    struct Body {
        public_key: String,
        proof: String,
    }
    let public = folder.key().public();
    let proof = folder.key().sign(&bind("tapcore-terminal-v1", &[&public]));
    let body = Body {
        public_key: hex::encode_upper(public),
        proof: hex::encode_upper(proof),
    };
    let client = Client::unsigned(ca_pem)?;
    let outcome: Result<Registration, CallError> = client
        .post(&format!("{url}/v1/terminals"), &body, None)
        .await;
    let mut registration = match outcome {
        Ok(registration) => registration,
        Err(CallError::Refused(problem)) => {
            bail!(
                "the acquirer does not register this terminal: {} ({})",
                problem.detail,
                problem.code
            )
        }
        Err(CallError::Unreachable(why)) => {
            bail!(
                "the acquirer at {url} cannot be reached ({why}); is `tapcore sandbox` running, and is --ca its file?"
            )
        }
        Err(CallError::Malformed(why)) => {
            bail!("the acquirer's answer cannot be understood ({why})")
        }
    };
    hex::decode(&registration.acquirer_key)
        .context("the acquirer's answer has no usable receipt key")?;
    registration.acquirer = url.to_owned();
    Ok(registration)
}
