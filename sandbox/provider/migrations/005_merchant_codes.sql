-- Payments by a shop's code have no alias. The phone's request is known by its key, of which only a hash is kept, and may
-- come as often as it likes: it is one payment.
ALTER TABLE code_payments ADD COLUMN request_key TEXT;
ALTER TABLE code_payments ADD COLUMN request TEXT;
CREATE UNIQUE INDEX code_payments_request ON code_payments (request_key);
