//! What a party has to tell whoever watches the sandbox: one JSON object per event, printed as a line by the launcher.
//!
//! The first member is `event`, its kind; the others belong to the kind: `{"event":"sms","to":"…","code":"…"}`.

use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Its kind, for example `sms`.
    pub event: String,
    /// What belongs to the kind.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

impl Event {
    /// An event of this kind without fields.
    #[must_use]
    pub fn new(kind: &str) -> Self {
        Self {
            event: kind.to_owned(),
            fields: Map::new(),
        }
    }

    /// The same with one more field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }
}

/// The sending side, held by every party.
#[derive(Clone, Debug)]
pub struct Events {
    sender: Option<UnboundedSender<Event>>,
}

impl Events {
    /// A channel of events.
    #[must_use]
    pub fn channel() -> (Self, UnboundedReceiver<Event>) {
        let (sender, receiver) = unbounded_channel();
        (
            Self {
                sender: Some(sender),
            },
            receiver,
        )
    }

    /// For a party that nobody watches.
    #[must_use]
    pub fn nobody() -> Self {
        Self { sender: None }
    }

    /// Tells it. A watcher that has gone away is no error of the party.
    pub fn tell(&self, event: Event) {
        if let Some(sender) = &self.sender {
            let _ = sender.send(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_flat_object() {
        let (events, mut receiver) = Events::channel();
        events.tell(
            Event::new("sms")
                .with("to", "bank-a customer …0015")
                .with("code", "493817"),
        );
        Events::nobody().tell(Event::new("unheard"));
        let line = serde_json::to_string(&receiver.try_recv().unwrap()).unwrap();
        assert_eq!(
            line,
            r#"{"event":"sms","code":"493817","to":"bank-a customer …0015"}"#
        );
    }
}
