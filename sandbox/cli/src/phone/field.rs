//! The field of the reader that the phone is held to: one at a time, whatever carries the APDUs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tapcore::ffi::{Answer, TapResponder, Wallet};
use tokio::sync::MutexGuard;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What a reader gets when no answer came at all.
const NO_ANSWER: [u8; 2] = [0x6F, 0x00];
/// How long an answer that comes later is waited for; the core's own patience is far shorter.
const LATER: Duration = Duration::from_secs(5);

/// Answers that come later, for whoever holds the field.
type Answers = UnboundedReceiver<Vec<u8>>;

/// The field.
pub(super) struct Field {
    wallet: Arc<Wallet>,
    answers: tokio::sync::Mutex<Answers>,
}

impl Field {
    /// The field of this wallet, which nobody is in. From here on answers that come later come through it.
    pub(super) fn of(wallet: &Arc<Wallet>) -> Self {
        let (later, answers) = unbounded_channel();
        wallet.set_responder(Arc::new(Later(Mutex::new(later))));
        Self {
            wallet: Arc::clone(wallet),
            answers: tokio::sync::Mutex::new(answers),
        }
    }

    /// Enters it, once nobody else is in it.
    pub(super) async fn enter(&self) -> Stay<'_> {
        self.stay(self.answers.lock().await)
    }

    /// Enters it, unless somebody else is in it.
    pub(super) fn try_enter(&self) -> Option<Stay<'_>> {
        let answers = self.answers.try_lock().ok()?;
        Some(self.stay(answers))
    }

    /// Waits until nobody is in it.
    pub(super) async fn left(&self) {
        drop(self.answers.lock().await);
    }

    fn stay<'a>(&'a self, mut answers: MutexGuard<'a, Answers>) -> Stay<'a> {
        // An answer that came after its reader had left is nobody's.
        while answers.try_recv().is_ok() {}
        Stay {
            wallet: &self.wallet,
            answers,
        }
    }
}

/// One stay in the field. It ends, and the card is deactivated, when this is dropped.
pub(super) struct Stay<'a> {
    wallet: &'a Arc<Wallet>,
    answers: MutexGuard<'a, Answers>,
}

impl Stay<'_> {
    /// The card's answer to a command, at once or later.
    pub(super) async fn answer(&mut self, apdu: Vec<u8>) -> Vec<u8> {
        match self.wallet.process_apdu(apdu) {
            Answer::Now { bytes } => bytes,
            Answer::Later => match tokio::time::timeout(LATER, self.answers.recv()).await {
                Ok(Some(bytes)) => bytes,
                _ => NO_ANSWER.to_vec(),
            },
        }
    }
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        self.wallet.deactivated();
    }
}

/// Passes answers that come later to the stay in the field.
struct Later(Mutex<UnboundedSender<Vec<u8>>>);

impl TapResponder for Later {
    fn respond(&self, answer: Vec<u8>) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Fails only when serving has ended.
        drop(sender.send(answer));
    }
}
