-- The provider's first schema. Keys and ids only: no card number, no payment key ever comes here.
CREATE TABLE challenges (
    challenge TEXT PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE TABLE devices (
    device_id TEXT PRIMARY KEY,
    device_key BYTEA NOT NULL,
    key_store TEXT NOT NULL,
    app_version TEXT NOT NULL,
    enrolled_at TEXT NOT NULL,
    last_seq BIGINT NOT NULL
);
CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY,
    device_id TEXT NOT NULL REFERENCES devices (device_id),
    session_key BYTEA NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE TABLE card_challenges (
    challenge_id TEXT PRIMARY KEY,
    device_id TEXT NOT NULL REFERENCES devices (device_id),
    at TEXT NOT NULL
);
CREATE TABLE tokens (
    token_ref TEXT PRIMARY KEY,
    device_id TEXT NOT NULL REFERENCES devices (device_id),
    at TEXT NOT NULL
);
-- Every notification as it came: the provider's books.
CREATE TABLE notifications (
    id TEXT PRIMARY KEY,
    token_ref TEXT NOT NULL REFERENCES tokens (token_ref),
    atc BIGINT NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    merchant TEXT NOT NULL,
    result TEXT NOT NULL,
    reason TEXT,
    authorisation TEXT,
    at TEXT NOT NULL
);
-- One entry per token and counter: what phones are shown.
CREATE TABLE entries (
    device_id TEXT NOT NULL REFERENCES devices (device_id),
    seq BIGINT NOT NULL,
    id TEXT NOT NULL,
    token_ref TEXT NOT NULL REFERENCES tokens (token_ref),
    atc BIGINT NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    merchant TEXT NOT NULL,
    result TEXT NOT NULL,
    reason TEXT,
    authorisation TEXT,
    at TEXT NOT NULL,
    PRIMARY KEY (device_id, seq),
    UNIQUE (token_ref, atc)
);
