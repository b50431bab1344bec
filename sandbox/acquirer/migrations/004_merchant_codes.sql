-- Codes that the merchant shows. Orders that one was made for, and the payments that the network told of: a payment of no
-- order here came by a code that stands for many.
CREATE TABLE merchant_orders (
    order_id TEXT PRIMARY KEY,
    terminal_id TEXT NOT NULL REFERENCES terminals (terminal_id),
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    made_at TEXT NOT NULL
);
CREATE TABLE merchant_payments (
    payment_id TEXT PRIMARY KEY,
    order_id TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    authorisation TEXT,
    network_ref TEXT NOT NULL,
    at TEXT NOT NULL,
    reversed_at TEXT
);
CREATE INDEX merchant_payments_order ON merchant_payments (order_id, at);
