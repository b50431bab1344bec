//! Time as the APIs and databases write it: RFC 3339, UTC, whole seconds, with `Z`.
//!
//! Such texts sort as they follow each other, so databases compare them without knowing about time.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The present moment, in whole seconds.
#[must_use]
pub fn now() -> OffsetDateTime {
    let now = OffsetDateTime::now_utc();
    now.replace_nanosecond(0).unwrap_or(now)
}

/// The present moment in seconds since 1970.
#[must_use]
pub fn unix_now() -> i64 {
    now().unix_timestamp()
}

/// The present moment as text.
#[must_use]
pub fn now_text() -> String {
    text(now())
}

/// The moment `ahead` from now, as text.
#[must_use]
pub fn text_in(ahead: Duration) -> String {
    text(now().saturating_add(time::Duration::try_from(ahead).unwrap_or(time::Duration::MAX)))
}

/// `2026-11-22T09:30:00Z`.
#[must_use]
pub fn text(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// A moment in seconds since 1970, as text.
#[must_use]
pub fn unix_text(seconds: i64) -> String {
    text(OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH))
}

/// Reads any RFC 3339 text in UTC. `None` for anything else, another offset included.
#[must_use]
pub fn parse(text: &str) -> Option<OffsetDateTime> {
    if !text.ends_with('Z') {
        return None;
    }
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let at = parse("2026-11-22T09:30:05Z").unwrap();
        assert_eq!(text(at), "2026-11-22T09:30:05Z");
        assert_eq!(parse("2026-11-22T09:30:05+00:00"), None);
        assert_eq!(parse("yesterday"), None);
        assert_eq!(unix_text(at.unix_timestamp()), "2026-11-22T09:30:05Z");
    }

    #[test]
    fn ahead_is_later() {
        assert!(text_in(Duration::from_secs(60)) > now_text());
    }
}
