ALTER TABLE invoices DROP COLUMN memo;
UPDATE invoices SET paid = true;
SET search_path = app;
