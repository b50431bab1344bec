//! The bank's tables. Amounts are minor units; absent texts are empty.

use sandbox_kit::db::Migration;

pub(crate) const STEPS: &[Migration] = &[Migration {
    version: 1,
    name: "cards, challenges, authorisations, books",
    sql: "CREATE TABLE cards (card_ref TEXT PRIMARY KEY, number TEXT NOT NULL UNIQUE, expiry TEXT NOT NULL, account_type TEXT NOT NULL, opened_at TEXT NOT NULL);
          CREATE TABLE challenges (challenge_id TEXT PRIMARY KEY, number TEXT NOT NULL, expiry TEXT NOT NULL, code TEXT NOT NULL, expires_at TEXT NOT NULL, tries_left BIGINT NOT NULL, card_ref TEXT NOT NULL);
          CREATE TABLE authorisations (network_ref TEXT PRIMARY KEY, request TEXT NOT NULL, card_ref TEXT NOT NULL, amount_minor BIGINT NOT NULL, currency TEXT NOT NULL, merchant TEXT NOT NULL, result TEXT NOT NULL, reason TEXT NOT NULL, authorisation TEXT NOT NULL);
          CREATE TABLE accounts (name TEXT PRIMARY KEY, balance BIGINT NOT NULL, currency TEXT NOT NULL);
          CREATE TABLE counters (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
          INSERT INTO counters (name, value) VALUES ('journal', 0);
          CREATE TABLE journal (seq BIGINT PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, debit TEXT NOT NULL, credit TEXT NOT NULL, amount_minor BIGINT NOT NULL, currency TEXT NOT NULL, merchant TEXT NOT NULL, reference TEXT NOT NULL, result TEXT NOT NULL, reason TEXT NOT NULL);
          CREATE TABLE legs (seq BIGINT NOT NULL, account TEXT NOT NULL, amount_minor BIGINT NOT NULL, PRIMARY KEY (seq, account));",
}];
