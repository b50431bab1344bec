-- Payments by code. One row per code that a terminal scanned; `result` is NULL until the provider has decided.
CREATE TABLE scans (
    terminal_id TEXT NOT NULL REFERENCES terminals (terminal_id),
    trace BIGINT NOT NULL,
    order_id TEXT NOT NULL,
    request TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    result TEXT,
    answer TEXT,
    PRIMARY KEY (terminal_id, trace)
);
CREATE INDEX scans_order ON scans (order_id, asked_at);
