-- When an order that a code was made for was revoked, paid or not: nobody pays it any more.
ALTER TABLE merchant_orders ADD COLUMN revoked_at TEXT;
