-- Payments that were taken back. A till may hear that one was approved, and book it, only after another till has taken it back.
CREATE TABLE reversals (
    payment_id TEXT PRIMARY KEY,
    at TEXT NOT NULL
);
