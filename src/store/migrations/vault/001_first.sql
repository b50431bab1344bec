-- The truth of what happened on this phone.

CREATE TABLE installation (
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    installation BLOB NOT NULL,
    storage      BLOB NOT NULL
) STRICT;

CREATE TABLE arming (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    generation INTEGER NOT NULL,
    alias      TEXT NOT NULL,
    wrapped    BLOB NOT NULL,
    sealed     BLOB NOT NULL
) STRICT;

-- Single facts by name. Guarded ones (the enrolment, the PIN, the policy) stand in the manifest and must not go back;
-- others (a card that is being added) may.
CREATE TABLE record (
    name    TEXT PRIMARY KEY,
    guarded INTEGER NOT NULL,
    sealed  BLOB NOT NULL
) STRICT;

-- `reference` is a keyed hash; `position` orders the cards. Guarded, as are the secrets.
CREATE TABLE token (
    reference BLOB PRIMARY KEY,
    position  INTEGER NOT NULL,
    sealed    BLOB NOT NULL
) STRICT;

-- Sealed by the payment key: limited-use keys, the log key, the card's RSA key.
CREATE TABLE token_secret (
    token  BLOB NOT NULL REFERENCES token (reference) ON DELETE CASCADE,
    name   TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (token, name)
) STRICT;

CREATE TABLE journal (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms  INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

-- Requests that must be sent again with the same idempotency key until they are answered.
CREATE TABLE outbox (
    subject         BLOB PRIMARY KEY,
    idempotency_key TEXT NOT NULL UNIQUE,
    sealed          BLOB NOT NULL
) STRICT;
