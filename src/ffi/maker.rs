//! Cards for the wallet of the phone's maker (in-app provisioning).

use std::sync::Arc;

use super::runtime::contact;
use super::{Wallet, WalletError};
use crate::backend::BackendError;
use crate::token::TokenRef;
use crate::wallet;

/// What the maker's wallet gives an app that wants to add a card to it.
#[derive(Clone, Debug, uniffi::Record)]
pub struct MakerAsk {
    /// The maker's name, as the network knows it.
    pub maker: String,
    /// The maker's wallet's one-time public key, SEC1 uncompressed (65 bytes).
    pub maker_key: Vec<u8>,
    /// Its nonce (16 bytes).
    pub nonce: Vec<u8>,
    /// The maker's signature over both (64 bytes).
    pub maker_signature: Vec<u8>,
}

/// What the shell hands to the maker's wallet, by the platform's call.
#[derive(Clone, Debug, uniffi::Record)]
pub struct MakerPass {
    /// The token that will live there; it is among the cards from now on.
    pub token_ref: String,
    /// Until when the maker's wallet must have fetched it, milliseconds of Unix time.
    pub expires_at_ms: i64,
    /// HPKE's encapsulated key.
    pub encapsulated_key: Vec<u8>,
    /// Card data and activation, encrypted for the maker's wallet.
    pub ciphertext: Vec<u8>,
}

#[uniffi::export]
impl Wallet {
    /// Asks for what the maker's wallet needs to take a card in. Where a PIN or fingerprint is set up, give the identifier
    /// of a finished verification for access.
    #[uniffi::method(default(verification_id = None))]
    pub async fn pass_to_maker(
        &self,
        token_ref: String,
        ask: MakerAsk,
        verification_id: Option<String>,
    ) -> Result<MakerPass, WalletError> {
        let wallet = Arc::clone(&self.inner);
        let ask = wallet::MakerAsk {
            maker: ask.maker,
            maker_key: ask.maker_key,
            nonce: ask.nonce,
            maker_signature: ask.maker_signature,
        };
        contact(&self.inner, async move {
            let token = TokenRef::new(token_ref);
            let pass = wallet.pass_to_maker(&token, ask, verification_id).await?;
            let bytes = |text: &str| {
                hex::decode(text).map_err(|_| wallet::WalletError::Backend(BackendError::Malformed))
            };
            Ok(MakerPass {
                token_ref: pass.token.as_str().into(),
                expires_at_ms: pass.expires_at_ms,
                encapsulated_key: bytes(&pass.sealed.enc)?,
                ciphertext: bytes(&pass.sealed.ciphertext)?,
            })
        })
        .await
    }
}
