-- Payment codes. An alias is drawn here and used for one showing: it stands for a device and an account while it is
-- live, and rests afterwards until its row goes and its number may be drawn again. `alias_id` is never drawn again, so
-- that a payment names one showing for ever. Seeds are sealed by a key in a file beside the database.
CREATE TABLE code_seeds (
    device_id TEXT PRIMARY KEY REFERENCES devices (device_id),
    sealed BYTEA NOT NULL,
    at TEXT NOT NULL
);
CREATE TABLE code_aliases (
    alias TEXT PRIMARY KEY,
    alias_id TEXT NOT NULL UNIQUE,
    device_id TEXT REFERENCES devices (device_id),
    token_ref TEXT,
    state TEXT NOT NULL,
    why TEXT NOT NULL,
    wrong BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    free_at BIGINT NOT NULL
);
CREATE INDEX code_aliases_device ON code_aliases (device_id);
CREATE INDEX code_aliases_free ON code_aliases (free_at);
-- How many numbers are taken, live or resting: counting ten million rows at each batch would be the slowest part of it.
CREATE TABLE code_counts (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO code_counts (name, value) VALUES ('aliases', 0);
-- Payments by code. They outlive the person, so they reference nothing; an erasure empties the names.
CREATE TABLE code_payments (
    payment_id TEXT PRIMARY KEY,
    acquirer_id TEXT NOT NULL,
    merchant_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    alias_id TEXT UNIQUE,
    alias TEXT NOT NULL,
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    token_ref TEXT NOT NULL,
    terminal_id TEXT NOT NULL,
    merchant TEXT NOT NULL,
    mcc TEXT NOT NULL,
    country TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    class TEXT NOT NULL,
    day BIGINT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    authorisation TEXT,
    network_ref TEXT,
    at TEXT NOT NULL,
    began BIGINT NOT NULL,
    confirm_until BIGINT NOT NULL
);
-- An order is paid once: whatever was declined may be tried again, nothing else.
CREATE UNIQUE INDEX code_payments_order ON code_payments (acquirer_id, merchant_id, order_id) WHERE state <> 'declined';
CREATE INDEX code_payments_day ON code_payments (user_id, day);
CREATE INDEX code_payments_attempts ON code_payments (acquirer_id, merchant_id, order_id, began);
CREATE INDEX code_payments_state ON code_payments (state, began);
-- Codes that were not right, per merchant and window.
CREATE TABLE code_misses (
    acquirer_id TEXT NOT NULL,
    merchant_id TEXT NOT NULL,
    since BIGINT NOT NULL,
    misses BIGINT NOT NULL,
    PRIMARY KEY (acquirer_id, merchant_id)
);
-- What phones are shown of payments by code; `seq` is counted together with that of the other entries.
CREATE TABLE code_entries (
    user_id TEXT NOT NULL REFERENCES users (user_id),
    seq BIGINT NOT NULL,
    id TEXT NOT NULL,
    payment_id TEXT NOT NULL UNIQUE,
    alias TEXT NOT NULL,
    token_ref TEXT NOT NULL REFERENCES tokens (token_ref),
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    merchant TEXT NOT NULL,
    result TEXT NOT NULL,
    reason TEXT,
    authorisation TEXT,
    at TEXT NOT NULL,
    PRIMARY KEY (user_id, seq)
);
