-- allow: required-column shown by the error itself
ALTER TABLE customers ADD COLUMN email text NOT NULL;
