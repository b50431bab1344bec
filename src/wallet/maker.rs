//! A card for the wallet of the phone's maker (in-app provisioning): this core asks provider and network for a box that
//! the maker's wallet alone opens. The token that comes of it lives there; its life is led from here as well.

use std::sync::Arc;

use super::arm::retire_older;
use super::open::Opened;
use super::person::person_in;
use super::{Wallet, WalletError};
use crate::backend::protocol::{MakerAnswer, MakerRequest};
use crate::backend::{BackendError, fresh_key, parse_rfc3339_ms};
use crate::bind::bind;
use crate::store::StoredToken;
use crate::token::{PaymentToken, TokenLife, TokenRef};
use crate::vault::{SealedBox, VaultError};

/// What the maker's wallet gives an app that wants to add a card to it. The core passes it on; the network knows whether
/// the maker vouches for it.
#[derive(Clone, Debug)]
pub struct MakerAsk {
    /// The maker's name, as the network knows it.
    pub maker: String,
    /// The maker's wallet's one-time public key, SEC1 uncompressed.
    pub maker_key: Vec<u8>,
    /// Its nonce, 16 bytes.
    pub nonce: Vec<u8>,
    /// The maker's signature over both.
    pub maker_signature: Vec<u8>,
}

/// What the shell hands to the maker's wallet.
#[derive(Clone, Debug)]
pub struct MakerPass {
    /// The token that will live there.
    pub token: TokenRef,
    /// Until when the maker's wallet must have fetched it, milliseconds of Unix time.
    pub expires_at_ms: i64,
    /// Card data and activation, for the maker's wallet alone.
    pub sealed: SealedBox,
}

impl Wallet {
    /// Asks for what the maker's wallet needs to take this card in. The token that it will fetch is among
    /// [`cards`](Self::cards) from now on, and can be suspended, resumed and deleted like the others; deleted before it
    /// was fetched, it is never made.
    ///
    /// Where a PIN or fingerprint is set up, `verification_id` is a finished verification for
    /// [`Purpose::Access`](super::Purpose::Access).
    ///
    /// # Errors
    /// [`WalletError::NoSuchCard`] when the card does not pay from this phone; [`WalletError::Input`];
    /// [`WalletError::NotVerified`]; [`VaultError::Locked`];
    /// [`BackendError::Refused`] when the network does not know the maker.
    pub async fn pass_to_maker(
        self: &Arc<Self>,
        token: &TokenRef,
        ask: MakerAsk,
        verification_id: Option<String>,
    ) -> Result<MakerPass, WalletError> {
        if ask.nonce.len() != 16 || ask.maker_key.len() != 65 || ask.maker_signature.len() != 64 {
            return Err(WalletError::Input(
                "this is not what the wallet of a phone's maker asks with",
            ));
        }
        let (backend, enrolment) = self.backend().await?;
        let device = enrolment.answer.device_id.clone();
        let source = token.clone();
        let (request, card) = self
            .blocking(move |wallet, opened| {
                if opened.known().locked {
                    return Err(VaultError::Locked.into());
                }
                let card = card_here(opened, &source)?;
                // Whoever holds the phone is not yet who may take its cards elsewhere.
                if person_in(opened)?.is_some() {
                    let id = verification_id.as_deref().ok_or(WalletError::NotVerified)?;
                    drop(wallet.take_access(id)?);
                }
                let parts = [
                    device.as_bytes(),
                    source.as_str().as_bytes(),
                    &ask.maker_key,
                    &ask.nonce,
                ];
                let proof = opened
                    .hierarchy
                    .sign(&bind("tapcore-maker-payload-v1", &parts))?;
                let request = MakerRequest {
                    maker: ask.maker,
                    maker_key: hex::encode_upper(&ask.maker_key),
                    nonce: hex::encode_upper(&ask.nonce),
                    maker_signature: hex::encode_upper(&ask.maker_signature),
                    proof: hex::encode_upper(proof),
                };
                Ok((request, card))
            })
            .await?;
        let path = format!("/v1/tokens/{}/maker-payload", token.as_str());
        let answer: MakerAnswer = backend.post(&path, &request, &fresh_key()).await?;
        let expires_at_ms = parse_rfc3339_ms(&answer.expires_at).ok_or(BackendError::Malformed)?;
        let elsewhere = StoredToken {
            token: PaymentToken {
                reference: answer.token_ref.clone(),
                // Its number is between the maker's wallet and the network.
                masked_number: String::new(),
                home: Some(request.maker),
                ..card
            },
            profile: String::new(),
            state: TokenLife::Active,
            told: true,
        };
        self.with_keys(move |_, opened| {
            let known = opened.vault.read(|tx| tx.tokens())?;
            let mut known = known.iter().map(|stored| &stored.token.reference);
            if known.any(|reference| *reference == elsewhere.token.reference) {
                return Ok(());
            }
            let ((), record) =
                opened.commit(opened.arming()?, |tx| Ok(tx.add_token(&elsewhere)?))?;
            retire_older(opened, &record)
        })
        .await?;
        Ok(MakerPass {
            token: answer.token_ref,
            expires_at_ms,
            sealed: answer.sealed,
        })
    }
}

/// A card that pays from this phone.
fn card_here(opened: &Opened, token: &TokenRef) -> Result<PaymentToken, WalletError> {
    let tokens = opened.vault.read(|tx| tx.tokens())?;
    let mut held = tokens.into_iter().filter(|stored| {
        stored.token.reference == *token
            && stored.token.home.is_none()
            && stored.state == TokenLife::Active
    });
    let stored = held.next().ok_or(WalletError::NoSuchCard)?;
    Ok(stored.token)
}
