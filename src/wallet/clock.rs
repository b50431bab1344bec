//! The phone's clocks, passed in.

/// What the phone's clocks show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// Wall clock, milliseconds of Unix time. A person can set it.
    pub wall_ms: i64,
    /// Changes with each start of the phone.
    pub boot_id: String,
    /// Milliseconds since the start of the phone, sleep included. Nobody can set it.
    pub since_boot_ms: i64,
}

/// The phone's clocks.
pub trait Clock: Send + Sync {
    /// Reads them.
    fn now(&self) -> ClockReading;
}
