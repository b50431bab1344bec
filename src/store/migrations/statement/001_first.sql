-- A projection of issuer and journal. `id` is a keyed hash of what the entry is about.

CREATE TABLE entry (
    id     BLOB PRIMARY KEY,
    at_ms  INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

CREATE INDEX entry_by_time ON entry (at_ms DESC);

-- How far issuer and journal were taken in.
CREATE TABLE position (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;
