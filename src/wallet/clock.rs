//! The phone's clocks, passed in.

pub use crate::clock::ClockReading;

/// The phone's clocks.
pub trait Clock: Send + Sync {
    /// Reads them.
    fn now(&self) -> ClockReading;
}
