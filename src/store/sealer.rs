//! How rows are sealed, seen from the side that stores them.

/// Where a sealed value stands; part of its associated data.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Table.
    pub table: &'static str,
    /// Column.
    pub column: &'static str,
    /// Row key.
    pub row: &'a [u8],
}

/// Why a value could not be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It was changed, moved, or sealed by another key.
    #[error("a stored value was changed or does not belong here")]
    Unsealable,
    /// A newer version wrote it.
    #[error("a stored value was written by a newer version")]
    UnknownFormat,
    /// The random number generator failed.
    #[error("the random number generator failed")]
    Random,
    /// The key has sealed as many values as it may.
    #[error("a key has sealed as many values as it may")]
    Exhausted,
}

/// Seals values for their place. The vault is one.
pub trait Sealer: Send + Sync {
    /// Seals a value.
    ///
    /// # Errors
    /// When the random number generator fails.
    fn seal(&self, place: &Place<'_>, plaintext: &[u8]) -> Result<Vec<u8>, SealError>;

    /// Opens a value in its own buffer. Where there is a secret in it, the caller wipes it.
    ///
    /// # Errors
    /// When it was not sealed for this place by this sealer.
    fn open(&self, place: &Place<'_>, sealed: Vec<u8>) -> Result<Vec<u8>, SealError>;

    /// A keyed hash to look a value up by; `domain` keeps equal values in different columns apart.
    fn lookup(&self, domain: &str, value: &[u8]) -> [u8; 16];
}
