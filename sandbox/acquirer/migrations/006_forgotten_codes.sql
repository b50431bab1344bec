-- What was asked, hashed: a request that comes again is known by it once a card's code is gone from `request`. Scans of
-- before have none.
ALTER TABLE scans ADD COLUMN digest TEXT;
