-- Consumer-presented codes beside digits. To the network two of them are two payments, so the order is held here: by the
-- one scan that may pay it, until it is declined.
ALTER TABLE scans ADD COLUMN kind TEXT NOT NULL DEFAULT 'digits';
CREATE TABLE card_orders (
    order_id TEXT PRIMARY KEY,
    terminal_id TEXT NOT NULL,
    trace BIGINT NOT NULL
);
