-- A user stands behind devices: several phones see one statement, one of them can be wiped, all of it can be erased.
CREATE TABLE users (
    user_id TEXT PRIMARY KEY,
    since TEXT NOT NULL,
    last_seq BIGINT NOT NULL
);
INSERT INTO users (user_id, since, last_seq)
    SELECT 'usr_' || substr(device_id, 5), enrolled_at, last_seq FROM devices;
ALTER TABLE devices ADD COLUMN user_id TEXT NOT NULL DEFAULT '';
UPDATE devices SET user_id = 'usr_' || substr(device_id, 5);
ALTER TABLE devices DROP COLUMN last_seq;
ALTER TABLE devices ADD COLUMN attested BIGINT NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN state TEXT NOT NULL DEFAULT 'active';
CREATE INDEX devices_user ON devices (user_id);
ALTER TABLE tokens ADD COLUMN state TEXT NOT NULL DEFAULT 'active';
ALTER TABLE tokens ADD COLUMN challenge_id TEXT NOT NULL DEFAULT '';

-- Entries belong to the user; a counter is still used once per token.
CREATE TABLE user_entries (
    user_id TEXT NOT NULL REFERENCES users (user_id),
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
    PRIMARY KEY (user_id, seq),
    UNIQUE (token_ref, atc)
);
INSERT INTO user_entries
    SELECT 'usr_' || substr(device_id, 5), seq, id, token_ref, atc, amount_minor, currency, merchant, result, reason, authorisation, at FROM entries;
DROP TABLE entries;
ALTER TABLE user_entries RENAME TO entries;

-- The books outlive the person: after an erasure their lines name no token any more.
CREATE TABLE books (
    id TEXT PRIMARY KEY,
    token_ref TEXT NOT NULL,
    atc BIGINT NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    merchant TEXT NOT NULL,
    result TEXT NOT NULL,
    reason TEXT,
    authorisation TEXT,
    at TEXT NOT NULL
);
INSERT INTO books
    SELECT id, token_ref, atc, amount_minor, currency, merchant, result, reason, authorisation, at FROM notifications;
DROP TABLE notifications;
ALTER TABLE books RENAME TO notifications;
CREATE INDEX notifications_token ON notifications (token_ref);

-- A code that joins another phone to a user. Only its hash is kept.
CREATE TABLE link_codes (
    code_hash TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    device_id TEXT NOT NULL REFERENCES devices (device_id),
    expires_at BIGINT NOT NULL
);
-- Tokens that the network has still to delete.
CREATE TABLE network_orders (
    token_ref TEXT PRIMARY KEY,
    device_id TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    due BIGINT NOT NULL
);
-- Names that stood for somebody: their phone is told to wipe itself, a late payment of their token goes into the books.
CREATE TABLE gone_devices (device_id TEXT PRIMARY KEY);
CREATE TABLE gone_tokens (token_ref TEXT PRIMARY KEY);
