ALTER TABLE customers
  ADD COLUMN email text,
  ADD COLUMN name text;
