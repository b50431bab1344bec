//! The code on the screen of a phone that serves: shown, gone on with and closed at a person's word, and watched, so that
//! each change is a line on standard output.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tapcore::ffi::{CodeEnd, CodePayment, CodePaymentState, CodeShown, CodeState, CodeView};
use tokio::task::JoinHandle;

use super::code::{self, CodeArgs};
use super::{Phone, serve};

/// How long an end is waited for. The code's own short life ends it anyway.
const PATIENCE: Duration = Duration::from_secs(2);

/// The screen.
#[derive(Default)]
pub(super) struct Live {
    showing: Option<Showing>,
    waiting: Waiting,
}

/// The last payment that waits for the person.
type Waiting = Arc<Mutex<Option<CodePayment>>>;

/// A code that is watched for as long as this is held.
struct Showing {
    view: Arc<CodeView>,
    watcher: JoinHandle<()>,
}

impl Drop for Showing {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

impl Live {
    /// Shows a code in place of the one before, says so, and watches it.
    pub(super) async fn show(&mut self, phone: &Phone, args: &CodeArgs) -> anyhow::Result<()> {
        let view = code::show(phone, args).await?;
        let shown = view.now();
        // From here on changes are those of the new one.
        if let Some(mut before) = self.showing.take() {
            before.watcher.abort();
            drop((&mut before.watcher).await);
        }
        if let Err(error) = code::draw(&shown.code, args) {
            drop(view.end().await);
            return Err(error);
        }
        let mut told = code::as_json(&shown);
        told["event"] = "code".into();
        serve::print(&told);
        let watched = watch(Arc::clone(&view), shown, Arc::clone(&self.waiting));
        self.showing = Some(Showing {
            view,
            watcher: tokio::spawn(watched),
        });
        Ok(())
    }

    /// Goes on after a pause, a payment or an end: a fresh code in the same place.
    pub(super) async fn touch(&self, verification_id: Option<String>) -> anyhow::Result<()> {
        Ok(self.view()?.renew(verification_id).await?)
    }

    /// Uncovers the digits, for a person who was verified: the code dies, and a fresh one takes its place.
    pub(super) async fn reveal(&self, verification_id: String) -> anyhow::Result<()> {
        Ok(self.view()?.reveal(verification_id).await?)
    }

    /// As if the system had seen a screenshot: the code dies.
    pub(super) async fn photographed(&self) -> anyhow::Result<()> {
        Ok(self.view()?.photographed().await?)
    }

    /// Closes the code, which is told like every change.
    pub(super) async fn close(&mut self) -> anyhow::Result<()> {
        self.view()?.end().await?;
        if let Some(mut closed) = self.showing.take() {
            // Whoever watches it sees the end, and ends.
            drop(tokio::time::timeout(PATIENCE, &mut closed.watcher).await);
        }
        Ok(())
    }

    /// Closes the code, if there is one, before the phone goes away.
    pub(super) async fn leave(self) {
        if let Some(showing) = &self.showing {
            drop(tokio::time::timeout(PATIENCE, showing.view.end()).await);
        }
    }

    /// The payment that waits for the person.
    pub(super) fn waiting(&self) -> anyhow::Result<CodePayment> {
        let waiting = lock(&self.waiting).clone();
        waiting.context("no payment waits to be confirmed")
    }

    /// Remembers a payment that waits for the person, or forgets it when it waits no more.
    pub(super) fn remember(&self, payment: &CodePayment) {
        remember(&self.waiting, payment);
    }

    fn view(&self) -> anyhow::Result<&CodeView> {
        let showing = self.showing.as_ref();
        let showing = showing.context("no code is shown: show one with the word `code`")?;
        Ok(&showing.view)
    }
}

/// Tells each change of code or state, and not that seconds pass.
async fn watch(view: Arc<CodeView>, told: CodeShown, waiting: Waiting) {
    let mut told = told;
    while let Ok(Some(now)) = view.next().await {
        if now.state == told.state && now.code == told.code {
            continue;
        }
        if let CodeState::Used { payment } = &now.state {
            remember(&waiting, payment);
        }
        serve::print(&changed(&now));
        told = now;
    }
}

fn remember(waiting: &Waiting, payment: &CodePayment) {
    let mut waiting = lock(waiting);
    let known = waiting.as_ref();
    let is_known = known.is_some_and(|known| known.payment_id == payment.payment_id);
    if payment.wants_password && payment.state == CodePaymentState::Pending {
        *waiting = Some(payment.clone());
    } else if is_known {
        *waiting = None;
    }
}

fn lock(waiting: &Waiting) -> std::sync::MutexGuard<'_, Option<CodePayment>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A change as scripts read it.
fn changed(shown: &CodeShown) -> Value {
    let mut event = json!({
        "event": "code_changed",
        "state": state(&shown.state),
        "code": (!shown.code.is_empty()).then_some(&shown.code),
        "revealed": shown.revealed,
        "seconds_left": shown.seconds_left,
        "offline_left": shown.offline_left,
        "payment": match &shown.state {
            CodeState::Used { payment } => code::payment_json(payment),
            _ => Value::Null,
        },
    });
    if let CodeState::Refused { detail, .. } = &shown.state {
        event["detail"] = detail.as_str().into();
    }
    event
}

fn state(state: &CodeState) -> &'static str {
    match state {
        CodeState::Showing => "showing",
        CodeState::Paused => "paused",
        CodeState::Used { .. } => "used",
        CodeState::Ended { why } => match why {
            CodeEnd::Closed => "closed",
            CodeEnd::Expired => "expired",
            CodeEnd::Revealed | CodeEnd::Photographed | CodeEnd::Void => "void",
        },
        CodeState::Refused { .. } => "refused",
    }
}
