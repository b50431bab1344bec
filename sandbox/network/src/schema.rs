//! The network's tables. Amounts are minor units; absent texts are empty.

use sandbox_kit::db::Migration;

pub(crate) const STEPS: &[Migration] = &[
    Migration {
    version: 1,
    name: "card entries, tokens, keys, authorisations, books, outbox",
    sql: "CREATE TABLE card_entries (challenge_id TEXT PRIMARY KEY, device_id TEXT NOT NULL, bank TEXT NOT NULL, bank_challenge TEXT NOT NULL, masked TEXT NOT NULL, account_type TEXT NOT NULL, token_ref TEXT NOT NULL);
          CREATE TABLE tokens (token_ref TEXT PRIMARY KEY, token TEXT NOT NULL UNIQUE, psn TEXT NOT NULL, expiry TEXT NOT NULL, device_id TEXT NOT NULL, bank TEXT NOT NULL, card_ref TEXT NOT NULL, masked_card TEXT NOT NULL, account_type TEXT NOT NULL, state TEXT NOT NULL, log_key TEXT NOT NULL, issued_at TEXT NOT NULL);
          CREATE TABLE limited_keys (token_ref TEXT NOT NULL, key_index TEXT NOT NULL, not_after TEXT NOT NULL, uses BIGINT NOT NULL, used BIGINT NOT NULL, PRIMARY KEY (token_ref, key_index));
          CREATE TABLE used_atcs (token_ref TEXT NOT NULL, atc BIGINT NOT NULL, network_ref TEXT NOT NULL, PRIMARY KEY (token_ref, atc));
          CREATE TABLE authorisations (network_ref TEXT PRIMARY KEY, acquirer_id TEXT NOT NULL, terminal_id TEXT NOT NULL, trace BIGINT NOT NULL, request TEXT NOT NULL, query TEXT NOT NULL, token_ref TEXT NOT NULL, atc BIGINT NOT NULL, key_index TEXT NOT NULL, bank TEXT NOT NULL, card_ref TEXT NOT NULL, state TEXT NOT NULL, result TEXT NOT NULL, reason TEXT NOT NULL, authorisation TEXT NOT NULL, at TEXT NOT NULL, UNIQUE (acquirer_id, terminal_id, trace));
          CREATE TABLE positions (name TEXT PRIMARY KEY, balance BIGINT NOT NULL);
          CREATE TABLE counters (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
          INSERT INTO counters (name, value) VALUES ('journal', 0);
          CREATE TABLE journal (seq BIGINT PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, debit TEXT NOT NULL, credit TEXT NOT NULL, amount_minor BIGINT NOT NULL, currency TEXT NOT NULL, merchant TEXT NOT NULL, reference TEXT NOT NULL, result TEXT NOT NULL, reason TEXT NOT NULL, atc BIGINT NOT NULL, arqc TEXT NOT NULL, token TEXT NOT NULL);
          CREATE TABLE legs (seq BIGINT NOT NULL, name TEXT NOT NULL, amount_minor BIGINT NOT NULL, PRIMARY KEY (seq, name));
          CREATE TABLE outbox (id TEXT PRIMARY KEY, target TEXT NOT NULL, path TEXT NOT NULL, body TEXT NOT NULL, attempts BIGINT NOT NULL, due BIGINT NOT NULL);
          CREATE INDEX outbox_due ON outbox (due);",
    },
    Migration {
        version: 2,
        name: "card checks",
        sql: "CREATE TABLE card_checks (check_id TEXT PRIMARY KEY, device_id TEXT NOT NULL, bank TEXT NOT NULL, bank_challenge TEXT NOT NULL);",
    },
    // Tokens and keys from before were UnionPay's and made without verification; their limits are those of new keys.
    Migration {
        version: 3,
        name: "schemes, classes and limits of keys",
        sql: "ALTER TABLE card_entries ADD COLUMN scheme TEXT NOT NULL DEFAULT 'unionpay';
              ALTER TABLE tokens ADD COLUMN scheme TEXT NOT NULL DEFAULT 'unionpay';
              ALTER TABLE limited_keys ADD COLUMN class TEXT NOT NULL DEFAULT 'plain';
              ALTER TABLE limited_keys ADD COLUMN currency TEXT NOT NULL DEFAULT 'CNY';
              ALTER TABLE limited_keys ADD COLUMN single_minor BIGINT NOT NULL DEFAULT 5000000;
              ALTER TABLE limited_keys ADD COLUMN total_minor BIGINT NOT NULL DEFAULT 10000000;
              ALTER TABLE limited_keys ADD COLUMN foreign_uses BIGINT NOT NULL DEFAULT 10;
              ALTER TABLE limited_keys ADD COLUMN spent_minor BIGINT NOT NULL DEFAULT 0;
              ALTER TABLE limited_keys ADD COLUMN foreign_used BIGINT NOT NULL DEFAULT 0;",
    },
    Migration {
        version: 4,
        name: "tokens in makers' wallets",
        sql: "ALTER TABLE tokens ADD COLUMN home TEXT NOT NULL DEFAULT '';
              CREATE TABLE maker_activations (activation_id TEXT PRIMARY KEY, token_ref TEXT NOT NULL, maker_token_ref TEXT NOT NULL, used BIGINT NOT NULL);",
    },
    Migration {
        version: 5,
        name: "a maker's question counts once, and its token's state may come before it",
        sql: "ALTER TABLE maker_activations ADD COLUMN state TEXT NOT NULL DEFAULT 'active';
              ALTER TABLE maker_activations ADD COLUMN asked TEXT NOT NULL DEFAULT '';
              CREATE UNIQUE INDEX maker_asked ON maker_activations (asked) WHERE asked <> '';",
    },
    Migration {
        version: 6,
        name: "merchants",
        sql: "CREATE TABLE merchants (acquirer_id TEXT NOT NULL, merchant_id TEXT NOT NULL, name TEXT NOT NULL, mcc TEXT NOT NULL, country TEXT NOT NULL, city TEXT NOT NULL, currency TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (acquirer_id, merchant_id));",
    },
];
