-- The payment password: what OPAQUE leaves with the provider, how many tries are left, and what is under way. The tries
-- stand beside the record under the user, so that no new phone and no restart brings any back. Neither passwords nor
-- session keys ever come here, and the key of the oblivious function is in a file of its own.
CREATE TABLE passwords (
    user_id TEXT PRIMARY KEY REFERENCES users (user_id),
    credential TEXT NOT NULL,
    record BYTEA NOT NULL,
    tries_left BIGINT NOT NULL,
    set_at TEXT NOT NULL
);
-- The registration that a device began last.
CREATE TABLE password_registrations (
    device_id TEXT PRIMARY KEY REFERENCES devices (device_id),
    user_id TEXT NOT NULL REFERENCES users (user_id),
    credential TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
-- Resets by a card: the network's check behind each, and until when a passed one may be used (0: not passed).
CREATE TABLE password_resets (
    reset_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (user_id),
    device_id TEXT NOT NULL REFERENCES devices (device_id),
    check_id TEXT NOT NULL,
    begun_at BIGINT NOT NULL,
    good_until BIGINT NOT NULL
);
CREATE INDEX password_resets_user ON password_resets (user_id, begun_at);
-- The key with which a device confirms after its own check of the person.
CREATE TABLE confirmation_keys (
    device_id TEXT PRIMARY KEY REFERENCES devices (device_id),
    public_key BYTEA NOT NULL,
    at TEXT NOT NULL
);
-- Payments that a person has confirmed, each bound to everything that was shown.
CREATE TABLE confirmations (
    confirmation_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (user_id),
    device_id TEXT NOT NULL REFERENCES devices (device_id),
    method TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    payee TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    at TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
