//! Who holds a card: the phone's sealed card number is opened here and nowhere else, and its bank asks its customer by
//! SMS. Adding a card rests on it, and so does whoever has nothing else left to show.

use sandbox_kit::bind::bind;
use sandbox_kit::hpke::{self, Sealed};
use sandbox_kit::problem::Problem;
use serde::Deserialize;
use serde_json::json;

use crate::bank::{BankCard, BankChallenge, unavailable};
use crate::number::luhn_valid;
use crate::payload::CARD_ENTRY_INFO;
use crate::{BankRoute, Network};

/// What the phone sealed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CardTyped {
    pub(crate) number: String,
    pub(crate) expiry: String,
}

impl Network {
    /// The card that this device sealed, and its bank.
    pub(crate) fn opened_card(
        &self,
        device_id: &str,
        sealed: &Sealed,
    ) -> Result<(CardTyped, &BankRoute), Problem> {
        let aad = bind("card-entry", &[device_id.as_bytes()]);
        let opened = hpke::open(&self.inner.secrets.hpke, CARD_ENTRY_INFO, &aad, sealed).map_err(
            |_| {
                Problem::new(
                    422,
                    "sealed_card_unreadable",
                    "Card data not readable",
                    "The card data is not sealed for this network and device. Enrol the device again.",
                )
            },
        )?;
        let card: CardTyped = serde_json::from_slice(&opened)
            .map_err(|_| Problem::invalid("The sealed card data does not have the agreed form."))?;
        if !(16..=19).contains(&card.number.len()) || !luhn_valid(&card.number) {
            return Err(Problem::new(
                422,
                "card_number_invalid",
                "Card number not valid",
                "That is not a card number. Check the digits.",
            ));
        }
        let bank = self.bank_of(&card.number).ok_or_else(|| {
            Problem::new(
                404,
                "card_unknown",
                "Unknown card",
                "No bank of this network has a card with this number. Check the digits.",
            )
        })?;
        Ok((card, bank))
    }

    /// Has the bank send its customer a code.
    pub(crate) async fn ask_for_sms(
        &self,
        card: &CardTyped,
        bank: &BankRoute,
    ) -> Result<BankChallenge, Problem> {
        let body = json!({"number": card.number, "expiry": card.expiry});
        self.ask_bank(bank, "/v1/card-challenges", &body).await
    }

    /// Has the bank of this name check the code that its customer typed.
    pub(crate) async fn code_typed(
        &self,
        bank: &str,
        challenge: &str,
        code: &str,
    ) -> Result<BankCard, Problem> {
        let bank = self.bank_named(bank).ok_or_else(|| unavailable(bank))?;
        let path = format!("/v1/card-challenges/{challenge}/verify");
        self.ask_bank(bank, &path, &json!({ "code": code })).await
    }
}
