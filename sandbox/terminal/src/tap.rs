//! One tap from the card to the receipt, and the two ways in which a sandbox POS can lie.
//!
//! A lie is properly signed and has a trace number of its own, so that nothing but the cryptogram can give it away.

use std::path::PathBuf;

use anyhow::Context;
use emv::core::oda::CaPublicKey;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::apdu::{Decline, Stop};
use crate::card::{Card, TcpCard, Traced};
use crate::data::{Purchase, TerminalData, currency_code};
use crate::entry;
use crate::folder::{Folder, Registration};
use crate::kernel::{Cryptogram, Outcome, Settings};
use crate::online::{Acquirer, Payment, Request, Unregistered, Verdict};
use crate::receipt;
use sandbox_kit::mask::mask_number;

/// What is to be paid, where the card is, and whether to lie about it.
#[derive(Debug, Clone)]
pub struct Order {
    /// The amount the card is told, in minor units.
    pub amount_minor: i64,
    /// Host and port of the card.
    pub card: String,
    /// Ask for offline data authentication.
    pub oda: bool,
    /// Ask for cardholder verification.
    pub cvm: bool,
    /// Lie: present the same cryptogram again under a fresh trace number.
    pub present_twice: bool,
    /// Lie: tell the network this amount instead.
    pub send_amount: Option<i64>,
}

/// The result of a tap; serialized, it is what `tap --json` prints.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// `approved`, `declined` or `unclear`.
    pub result: String,
    /// Why it was declined.
    pub reason: Option<String>,
    /// What the card was told, in minor units.
    pub amount_minor: i64,
    /// ISO 4217 letters.
    pub currency: String,
    /// Application transaction counter.
    pub atc: Option<u16>,
    /// The cryptogram, hex.
    pub arqc: Option<String>,
    /// Token number, masked.
    pub token: Option<String>,
    /// The merchant's name.
    pub merchant: String,
    /// The issuer's six digits.
    pub authorisation: Option<String>,
    /// Where the receipt is, if it could be kept.
    pub receipt: Option<PathBuf>,
    /// The trace number.
    pub trace: Option<u32>,
    /// Offline data authentication: `not_asked`, `verified` or `failed`.
    pub oda: &'static str,
    /// A sentence that goes with a result other than `approved`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What became of the same cryptogram presented again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presented_twice: Option<Presented>,
    /// The amount the network was told, where that was a lie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_amount_minor: Option<i64>,
}

/// The outcome of a lie.
#[derive(Debug, Clone, Serialize)]
pub struct Presented {
    /// Its own trace number.
    pub trace: u32,
    /// `approved`, `declined` or `unclear`.
    pub result: String,
    /// Why it was declined.
    pub reason: Option<String>,
}

/// Where decoded APDUs go.
pub type Listener = Box<dyn FnMut(&str) + Send>;

/// A POS: its folder and its acquirer.
pub struct Pos {
    pub(crate) folder: Folder,
    pub(crate) acquirer: Acquirer,
    settings: Settings,
}

impl Pos {
    /// Opens the folder and makes contact with the acquirer, before any card is in the field.
    ///
    /// # Errors
    /// When the folder cannot be used or the acquirer not be reached; the text is for the person at the till.
    pub async fn open(
        folder: &std::path::Path,
        acquirer: &str,
        ca_pem: &[u8],
    ) -> anyhow::Result<Self> {
        let folder = Folder::open(folder)?;
        let acquirer = Acquirer::contact(&folder, acquirer, ca_pem).await?;
        let settings = settings(acquirer.registration())
            .context("the acquirer's settings for this terminal cannot be used")?;
        Ok(Self {
            folder,
            acquirer,
            settings,
        })
    }

    /// Takes one payment. `progress` hears what a person watching may want to know; `listener` gets decoded APDUs.
    ///
    /// # Errors
    /// When there is no result at all: the card left, the acquirer refuses the request, the disk is full.
    pub async fn tap(
        &self,
        order: &Order,
        listener: Option<Listener>,
        mut progress: impl FnMut(&str),
    ) -> anyhow::Result<Report> {
        let registration = self.acquirer.registration();
        let at = OffsetDateTime::now_utc().replace_nanosecond(0)?;
        let terminal = TerminalData::new(&purchase(registration, order, at)?);
        let mut report = blank(registration, order);

        match self.at_the_card(order, terminal, listener).await? {
            Err(Stop::Lost(lost)) => return Err(lost.into()),
            Err(Stop::Declined(decline) | Stop::NextApplication(decline)) => {
                report.decline(decline)
            }
            Ok(Outcome::Declined(decline, card)) => {
                report.card(&card);
                report.decline(decline);
            }
            Ok(Outcome::Online(card)) => {
                report.card(&card);
                let mut request = request(registration, order, &card, at)?;
                request.trace = self.folder.next_trace()?;
                let verdict = self.authorise(&request, &mut progress).await?;
                let text = receipt::write(registration, &request, &card, &verdict);
                report.trace = Some(request.trace);
                report.verdict(verdict);
                // The payment is made or refused by now: a receipt that cannot be kept must not hide that.
                match self.folder.keep_receipt(request.trace, &text) {
                    Ok(place) => report.receipt = Some(place),
                    Err(why) => progress(&format!("the receipt is lost: {why:#}")),
                }
                if order.present_twice {
                    report.presented_twice = self.present_again(&mut request, &mut progress).await;
                }
            }
        }
        Ok(report)
    }

    /// The lie of presenting a cryptogram twice. The first payment stands whatever becomes of it, so trouble is only
    /// told.
    async fn present_again(
        &self,
        request: &mut Request,
        progress: &mut impl FnMut(&str),
    ) -> Option<Presented> {
        match self.folder.next_trace() {
            Ok(trace) => request.trace = trace,
            Err(why) => {
                progress(&format!("the cryptogram is not presented again: {why:#}"));
                return None;
            }
        }
        let verdict = match self.authorise(request, &mut *progress).await {
            Ok(verdict) => verdict,
            Err(why) => {
                progress(&format!("presenting the cryptogram again failed: {why:#}"));
                Verdict::Unclear(why.to_string())
            }
        };
        Some(presented(request.trace, verdict))
    }

    /// Asks the acquirer for a payment.
    pub(crate) async fn authorise<P: Payment>(
        &self,
        request: &P,
        progress: impl FnMut(&str),
    ) -> anyhow::Result<Verdict> {
        let verdict = self.acquirer.authorise(request, progress).await;
        self.known_or_forgotten(verdict)
    }

    /// An acquirer that has forgotten this terminal is registered with anew at the next contact.
    pub(crate) fn known_or_forgotten<T>(&self, answer: anyhow::Result<T>) -> anyhow::Result<T> {
        if answer.as_ref().is_err_and(|why| why.is::<Unregistered>()) {
            self.folder.forget_registration()?;
        }
        answer
    }

    /// The stay in the field, on a thread that may block; the field is off again when this returns.
    async fn at_the_card(
        &self,
        order: &Order,
        terminal: TerminalData,
        listener: Option<Listener>,
    ) -> anyhow::Result<Result<Outcome, Stop>> {
        let (address, settings) = (order.card.clone(), self.settings.clone());
        tokio::task::spawn_blocking(move || {
            let mut plain = TcpCard::connect(&address)?;
            match listener {
                None => entry::pay(&mut plain, &terminal, &settings),
                Some(listener) => entry::pay(
                    &mut Traced::new(plain, listener) as &mut dyn Card,
                    &terminal,
                    &settings,
                ),
            }
        })
        .await
        .context("the kernel stopped in the middle of the payment")
    }
}

impl Report {
    fn card(&mut self, card: &Cryptogram) {
        self.atc = Some(card.atc);
        self.arqc = Some(hex::encode_upper(&card.arqc));
        self.token = Some(mask_number(&card.token));
        self.oda = card.authentication.word();
    }

    fn decline(&mut self, decline: Decline) {
        self.result = "declined".into();
        self.reason = Some(decline.reason.into());
        self.detail = Some(decline.detail);
    }

    fn verdict(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Answered(answer) => {
                self.result = answer.result;
                self.reason = answer.reason;
                self.authorisation = answer.authorisation;
            }
            Verdict::Unclear(why) => self.detail = Some(why),
        }
    }
}

/// A report of which nothing is known yet.
fn blank(registration: &Registration, order: &Order) -> Report {
    Report {
        result: "unclear".into(),
        reason: None,
        amount_minor: order.amount_minor,
        currency: registration.currency.clone(),
        atc: None,
        arqc: None,
        token: None,
        merchant: registration.merchant.clone(),
        authorisation: None,
        receipt: None,
        trace: None,
        oda: "not_asked",
        detail: None,
        presented_twice: None,
        sent_amount_minor: order.send_amount,
    }
}

fn presented(trace: u32, verdict: Verdict) -> Presented {
    match verdict {
        Verdict::Answered(answer) => Presented {
            trace,
            result: answer.result,
            reason: answer.reason,
        },
        Verdict::Unclear(_) => Presented {
            trace,
            result: "unclear".into(),
            reason: None,
        },
    }
}

fn purchase(
    registration: &Registration,
    order: &Order,
    at: OffsetDateTime,
) -> anyhow::Result<Purchase> {
    Ok(Purchase {
        amount_minor: order.amount_minor,
        currency: currency_code(&registration.currency).with_context(|| {
            format!(
                "this terminal does not know the currency {}",
                registration.currency
            )
        })?,
        country: sandbox_kit::bytes::from_hex_exact(&registration.country)
            .context("the acquirer's country code is not four digits")?,
        at,
        unpredictable_number: sandbox_kit::bytes::random(),
        oda: order.oda,
        cvm: order.cvm,
        merchant: registration.merchant.clone(),
        mcc: registration.mcc.clone(),
        merchant_id: registration.merchant_id.clone(),
        terminal_id: registration.terminal_id.clone(),
    })
}

fn request(
    registration: &Registration,
    order: &Order,
    card: &Cryptogram,
    at: OffsetDateTime,
) -> anyhow::Result<Request> {
    Ok(Request {
        trace: 0,
        at: at.format(&Rfc3339)?,
        amount_minor: order.send_amount.unwrap_or(order.amount_minor),
        currency: registration.currency.clone(),
        token: card.token.clone(),
        expiry: card.expiry.clone(),
        psn: card.psn.clone(),
        emv: card.emv.clone(),
    })
}

fn settings(registration: &Registration) -> anyhow::Result<Settings> {
    let aids = registration
        .aids
        .iter()
        .map(hex::decode)
        .collect::<Result<Vec<_>, _>>()?;
    let ca_keys = registration
        .ca_keys
        .iter()
        .map(|key| {
            Ok(CaPublicKey {
                rid: sandbox_kit::bytes::from_hex_exact(&key.rid)
                    .context("a scheme key's RID is not five bytes")?,
                index: u8::from_str_radix(&key.index, 16)?,
                modulus: hex::decode(&key.modulus)?,
                exponent: hex::decode(&key.exponent)?,
            })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Settings { aids, ca_keys })
}
