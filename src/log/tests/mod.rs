//! What the log shows and what it hides, and that neither a slow nor a broken sink reaches the core.

mod delivery;
mod redaction;
