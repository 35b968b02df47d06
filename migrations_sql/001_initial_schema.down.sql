-- Undoes 001_initial_schema. The triggers, indexes and constraints go with their tables.

DROP TABLE IF EXISTS payments;
DROP TABLE IF EXISTS invoice_items;
DROP TABLE IF EXISTS invoices;
DROP TABLE IF EXISTS vendors;

DROP FUNCTION IF EXISTS set_updated_at();

DROP TYPE IF EXISTS payment_method;
DROP TYPE IF EXISTS invoice_status;
DROP TYPE IF EXISTS document_type;
DROP TYPE IF EXISTS currency_code;
DROP TYPE IF EXISTS vendor_status;
