-- The acquirer's first schema: terminals, what they asked, and the books.
CREATE TABLE terminals (
    terminal_id TEXT PRIMARY KEY,
    public_key TEXT NOT NULL UNIQUE,
    merchant_id TEXT NOT NULL,
    at TEXT NOT NULL
);
-- One row per payment a terminal asked for. `result` is NULL until the network has answered.
CREATE TABLE authorisations (
    terminal_id TEXT NOT NULL REFERENCES terminals (terminal_id),
    trace BIGINT NOT NULL,
    request TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    result TEXT,
    answer TEXT,
    PRIMARY KEY (terminal_id, trace)
);
-- The journal: one row per answered payment, declines included.
CREATE TABLE entries (
    id TEXT PRIMARY KEY,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    merchant TEXT NOT NULL,
    reference TEXT NOT NULL,
    result TEXT NOT NULL,
    reason TEXT,
    atc BIGINT,
    arqc TEXT,
    token TEXT
);
-- What moved: debits positive, credits negative. The rows of one entry add up to nothing.
CREATE TABLE postings (
    entry_id TEXT NOT NULL REFERENCES entries (id),
    account TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    PRIMARY KEY (entry_id, account)
);
