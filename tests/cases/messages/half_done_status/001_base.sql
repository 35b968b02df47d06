-- transaction: off
CREATE TABLE customers (email text);
CREATE INDEX CONCURRENTLY customers_email_idx ON customers (email);
ALTER TABLE customers ADD COLUMN email citext;
