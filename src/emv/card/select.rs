//! SELECT: the directory of the card's applications (PPSE), and one of them.

use super::Card;
use crate::emv::apdu::{Command, StatusWord};
use crate::emv::profile::{ANSWER_LIMIT, Application, tags};
use crate::emv::tlv;

/// The name of the proximity payment system environment.
pub const PPSE: &[u8] = b"2PAY.SYS.DDF01";

/// The longest name of an application (ISO 7816-4).
const LONGEST_NAME: usize = 16;
/// The last priority there is (tag 87, four bits).
const LAST_PRIORITY: u8 = 15;

/// An application as readers find it.
pub(super) struct Entry {
    /// Position of the token.
    pub(super) token: usize,
    /// Position in its profile.
    pub(super) application: usize,
    /// The AID; behind another token of the same AID, with a number appended (EMV Book 1, 12.2.1).
    name: Vec<u8>,
    priority: u8,
}

impl Card {
    /// Makes the list of applications: the tokens by preference, the applications of each by its own priorities. Their
    /// places in the list are the priorities that readers see.
    pub(super) fn arrange(&mut self) {
        let chosen = self.field.selected.and_then(|at| self.entries.get(at));
        let chosen = chosen.map(|entry| (entry.token, entry.application));
        let mut visible: Vec<usize> = (0..self.tokens.len()).collect();
        if let Some(only) = &self.only {
            visible.retain(|at| self.tokens.get(*at).is_some_and(|held| held.token == *only));
        }
        // A stable sort: what nobody ordered keeps its place.
        visible.sort_by_key(|at| {
            let token = self.tokens.get(*at).map(|held| &held.token);
            let mut order = self.order.iter();
            order
                .position(|preferred| Some(preferred) == token)
                .unwrap_or(usize::MAX)
        });
        let mut entries: Vec<Entry> = Vec::new();
        for token in visible {
            let Some(held) = self.tokens.get(token) else {
                continue;
            };
            let mut applications: Vec<(usize, &Application)> =
                held.profile.applications().iter().enumerate().collect();
            applications.sort_by_key(|(_, application)| application.priority());
            for (application, offered) in applications {
                let mut name = offered.aid().to_vec();
                let alike = entries.iter().filter(|entry| entry.name.starts_with(&name));
                match u8::try_from(alike.count()) {
                    Ok(0) => {}
                    Ok(before) if name.len() < LONGEST_NAME => name.push(before + 1),
                    _ => continue,
                }
                let priority = u8::try_from(entries.len() + 1).unwrap_or(LAST_PRIORITY);
                entries.push(Entry {
                    token,
                    application,
                    name,
                    priority: priority.min(LAST_PRIORITY),
                });
            }
        }
        self.field.selected = chosen.and_then(|chosen| {
            let mut listed = entries.iter();
            listed.position(|entry| (entry.token, entry.application) == chosen)
        });
        self.entries = entries;
    }

    pub(super) fn select(&mut self, command: &Command<'_>) -> Result<Vec<u8>, StatusWord> {
        let next_occurrence = match (command.p1, command.p2) {
            (0x04, 0x00) => false,
            (0x04, 0x02) => true,
            _ => return Err(StatusWord::WRONG_P1_P2),
        };
        self.field.options = None;
        if command.data == PPSE {
            self.field.selected = None;
            return self.directory();
        }
        // A name of fewer than five bytes is no AID and would match half the card.
        let selected = Some(command.data)
            .filter(|name| name.len() >= 5)
            .and_then(|name| self.find(name, next_occurrence))
            .ok_or(StatusWord::NOT_FOUND)?;
        let fci = self.control_information(selected)?;
        let token = self.entries.get(selected).map(|entry| entry.token);
        let payment = self.field.payment.as_ref();
        if payment.is_some_and(|payment| Some(payment.token) != token) {
            self.field.payment = None;
        }
        self.field.selected = Some(selected);
        Ok(fci)
    }

    /// The application of this name, or else the first whose name starts with it; with `next_occurrence`, the one after
    /// the last selected.
    fn find(&self, name: &[u8], next_occurrence: bool) -> Option<usize> {
        let entries = self.entries.iter().enumerate();
        let mut matches = entries.filter(|(_, entry)| entry.name.starts_with(name));
        match (next_occurrence, self.field.selected) {
            // A reader that selects by partial AID walks through the matches.
            (true, Some(last)) => matches.find(|(at, _)| *at > last),
            _ => {
                let exact = self.entries.iter().position(|entry| entry.name == name);
                return exact.or_else(|| matches.next().map(|(at, _)| at));
            }
        }
        .map(|(at, _)| at)
    }

    fn offered(&self, entry: &Entry) -> Option<&Application> {
        let held = self.tokens.get(entry.token)?;
        held.profile.applications().get(entry.application)
    }

    /// The PPSE's answer: one directory entry for each application, as many as fit into one answer.
    fn directory(&self) -> Result<Vec<u8>, StatusWord> {
        // The templates around the entries and the PPSE's name.
        const AROUND: usize = 32;
        let mut entries = Vec::new();
        for entry in &self.entries {
            let Some(application) = self.offered(entry) else {
                continue;
            };
            let mut listed = Vec::new();
            tlv::write(&mut listed, tags::AID, &entry.name);
            tlv::write(&mut listed, tags::LABEL, application.label().as_bytes());
            tlv::write(&mut listed, tags::PRIORITY, &[entry.priority]);
            if entries.len() + listed.len() + 2 + AROUND > ANSWER_LIMIT {
                break;
            }
            tlv::write(&mut entries, tags::ENTRY, &listed);
        }
        if entries.is_empty() {
            return Err(StatusWord::NOT_FOUND);
        }
        let discretionary = tlv::wrap(tags::FCI_DISCRETIONARY, &entries);
        Ok(file_control_information(PPSE, &discretionary))
    }

    fn control_information(&self, selected: usize) -> Result<Vec<u8>, StatusWord> {
        let entry = self.entries.get(selected).ok_or(StatusWord::NOT_FOUND)?;
        let application = self.offered(entry).ok_or(StatusWord::NOT_FOUND)?;
        let profile = &self.token(entry.token)?.profile;
        let mut proprietary = Vec::with_capacity(ANSWER_LIMIT);
        tlv::write(
            &mut proprietary,
            tags::LABEL,
            application.label().as_bytes(),
        );
        tlv::write(&mut proprietary, tags::PRIORITY, &[entry.priority]);
        if profile.pdol().length() > 0 {
            tlv::write(&mut proprietary, tags::PDOL, profile.pdol().encoded());
        }
        for object in profile.fci() {
            let value = object.value(false).unwrap_or_default();
            tlv::write(&mut proprietary, object.tag, value);
        }
        Ok(file_control_information(&entry.name, &proprietary))
    }
}

fn file_control_information(name: &[u8], proprietary: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(ANSWER_LIMIT);
    tlv::write(&mut content, tags::DF_NAME, name);
    tlv::write(&mut content, tags::FCI_PROPRIETARY, proprietary);
    tlv::wrap(tags::FCI, &content)
}
