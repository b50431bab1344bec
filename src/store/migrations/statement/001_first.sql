-- A projection of issuer and journal. `id` is a keyed hash of what the entry is about; `shown` says whether a person
-- should see it.

CREATE TABLE entry (
    id     BLOB PRIMARY KEY,
    at_ms  INTEGER NOT NULL,
    shown  INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

CREATE INDEX entry_by_time ON entry (at_ms DESC) WHERE shown;

-- How far issuer and journal were taken in.
CREATE TABLE position (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;
