-- Vendors, the documents they send, the lines on them and what was paid.
-- Every statement is guarded, so a second run finds everything in place and changes nothing.
-- depends: sqlmigrations.000_migration_tracking

DO $types$
DECLARE
    present name[] := ARRAY(
        SELECT t.typname
        FROM pg_type t
        JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE n.nspname = current_schema()
    );
BEGIN
    IF 'vendor_status' <> ALL (present) THEN
        CREATE TYPE vendor_status AS ENUM ('active', 'on_hold', 'retired');
    END IF;
    IF 'currency_code' <> ALL (present) THEN
        CREATE TYPE currency_code AS ENUM ('CHF', 'EUR', 'GBP', 'JPY', 'USD');
    END IF;
    IF 'document_type' <> ALL (present) THEN
        CREATE TYPE document_type AS ENUM ('invoice', 'credit_note', 'reminder');
    END IF;
    IF 'invoice_status' <> ALL (present) THEN
        CREATE TYPE invoice_status AS ENUM ('received', 'approved', 'disputed', 'paid', 'cancelled');
    END IF;
    IF 'payment_method' <> ALL (present) THEN
        CREATE TYPE payment_method AS ENUM ('bank_transfer', 'direct_debit', 'card', 'cash');
    END IF;
END
$types$;

CREATE TABLE IF NOT EXISTS vendors (
    id                 bigint GENERATED ALWAYS AS IDENTITY,
    code               text           NOT NULL,
    name               text           NOT NULL,
    tax_number         text,
    email              text,
    status             vendor_status  NOT NULL DEFAULT 'active',
    currency           currency_code  NOT NULL DEFAULT 'EUR',
    payment_term_days  smallint       NOT NULL DEFAULT 30,
    created_at         timestamptz    NOT NULL DEFAULT now(),
    updated_at         timestamptz    NOT NULL DEFAULT now(),
    CONSTRAINT vendors_pkey PRIMARY KEY (id),
    CONSTRAINT vendors_code_key UNIQUE (code)
);

CREATE TABLE IF NOT EXISTS invoices (
    id             bigint GENERATED ALWAYS AS IDENTITY,
    vendor_id      bigint          NOT NULL,
    number         text            NOT NULL,
    document_type  document_type   NOT NULL DEFAULT 'invoice',
    status         invoice_status  NOT NULL DEFAULT 'received',
    currency       currency_code   NOT NULL,
    issued_on      date            NOT NULL,
    due_on         date            NOT NULL,
    net_amount     numeric(14, 2)  NOT NULL,
    tax_amount     numeric(14, 2)  NOT NULL DEFAULT 0,
    total_amount   numeric(15, 2)  GENERATED ALWAYS AS (net_amount + tax_amount) STORED,
    created_at     timestamptz     NOT NULL DEFAULT now(),
    updated_at     timestamptz     NOT NULL DEFAULT now(),
    CONSTRAINT invoices_pkey PRIMARY KEY (id),
    CONSTRAINT invoices_vendor_id_number_key UNIQUE (vendor_id, number)
);

CREATE TABLE IF NOT EXISTS invoice_items (
    id           bigint GENERATED ALWAYS AS IDENTITY,
    invoice_id   bigint          NOT NULL,
    position     smallint        NOT NULL,
    description  text            NOT NULL,
    quantity     numeric(12, 3)  NOT NULL DEFAULT 1,
    unit_price   numeric(14, 4)  NOT NULL,
    tax_rate     numeric(5, 4)   NOT NULL DEFAULT 0,
    created_at   timestamptz     NOT NULL DEFAULT now(),
    updated_at   timestamptz     NOT NULL DEFAULT now(),
    CONSTRAINT invoice_items_pkey PRIMARY KEY (id),
    CONSTRAINT invoice_items_invoice_id_position_key UNIQUE (invoice_id, position)
);

CREATE TABLE IF NOT EXISTS payments (
    id          bigint GENERATED ALWAYS AS IDENTITY,
    invoice_id  bigint          NOT NULL,
    reference   text            NOT NULL,
    method      payment_method  NOT NULL,
    amount      numeric(14, 2)  NOT NULL,
    paid_at     timestamptz     NOT NULL,
    created_at  timestamptz     NOT NULL DEFAULT now(),
    updated_at  timestamptz     NOT NULL DEFAULT now(),
    CONSTRAINT payments_pkey PRIMARY KEY (id),
    CONSTRAINT payments_invoice_id_reference_key UNIQUE (invoice_id, reference)
);

COMMENT ON COLUMN vendors.code IS 'Upper-case name by which other systems know the vendor, for ever.';
COMMENT ON COLUMN invoices.number IS 'The number the vendor printed on the document, unique per vendor.';
COMMENT ON COLUMN invoices.net_amount IS 'Before tax; negative on a credit note.';
COMMENT ON COLUMN invoice_items.tax_rate IS 'A fraction, 0.1900 for 19 %.';
COMMENT ON COLUMN payments.reference IS 'The bank''s reference, unique per invoice.';

-- The unique keys lead with vendor_id and invoice_id and serve the foreign keys, too.
DO $constraints$
DECLARE
    present text[] := ARRAY(
        SELECT c.relname || '.' || k.conname
        FROM pg_constraint k
        JOIN pg_class c ON c.oid = k.conrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = current_schema()
    );
BEGIN
    IF 'vendors.vendors_code_check' <> ALL (present) THEN
        ALTER TABLE vendors ADD CONSTRAINT vendors_code_check CHECK (code ~ '^[A-Z0-9_]+$');
    END IF;
    IF 'vendors.vendors_payment_term_days_check' <> ALL (present) THEN
        ALTER TABLE vendors ADD CONSTRAINT vendors_payment_term_days_check
            CHECK (payment_term_days BETWEEN 0 AND 365);
    END IF;
    IF 'invoices.invoices_vendor_id_fkey' <> ALL (present) THEN
        ALTER TABLE invoices ADD CONSTRAINT invoices_vendor_id_fkey
            FOREIGN KEY (vendor_id) REFERENCES vendors (id) ON DELETE RESTRICT;
    END IF;
    IF 'invoices.invoices_due_on_check' <> ALL (present) THEN
        ALTER TABLE invoices ADD CONSTRAINT invoices_due_on_check CHECK (due_on >= issued_on);
    END IF;
    IF 'invoices.invoices_amount_check' <> ALL (present) THEN
        ALTER TABLE invoices ADD CONSTRAINT invoices_amount_check
            CHECK (net_amount >= 0 AND tax_amount >= 0 OR document_type = 'credit_note');
    END IF;
    IF 'invoice_items.invoice_items_invoice_id_fkey' <> ALL (present) THEN
        ALTER TABLE invoice_items ADD CONSTRAINT invoice_items_invoice_id_fkey
            FOREIGN KEY (invoice_id) REFERENCES invoices (id) ON DELETE CASCADE;
    END IF;
    IF 'invoice_items.invoice_items_position_check' <> ALL (present) THEN
        ALTER TABLE invoice_items ADD CONSTRAINT invoice_items_position_check CHECK (position > 0);
    END IF;
    IF 'invoice_items.invoice_items_tax_rate_check' <> ALL (present) THEN
        ALTER TABLE invoice_items ADD CONSTRAINT invoice_items_tax_rate_check
            CHECK (tax_rate >= 0 AND tax_rate < 1);
    END IF;
    IF 'payments.payments_invoice_id_fkey' <> ALL (present) THEN
        ALTER TABLE payments ADD CONSTRAINT payments_invoice_id_fkey
            FOREIGN KEY (invoice_id) REFERENCES invoices (id) ON DELETE RESTRICT;
    END IF;
    IF 'payments.payments_amount_check' <> ALL (present) THEN
        ALTER TABLE payments ADD CONSTRAINT payments_amount_check CHECK (amount <> 0);
    END IF;
END
$constraints$;

CREATE INDEX IF NOT EXISTS vendors_name_idx ON vendors (lower(name));
CREATE INDEX IF NOT EXISTS invoices_issued_on_idx ON invoices (issued_on);
CREATE INDEX IF NOT EXISTS invoices_open_due_on_idx ON invoices (due_on) WHERE status IN ('received', 'approved');
CREATE INDEX IF NOT EXISTS payments_paid_at_idx ON payments (paid_at);

CREATE OR REPLACE FUNCTION set_updated_at() RETURNS trigger
LANGUAGE plpgsql
AS $function$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$function$;

COMMENT ON FUNCTION set_updated_at() IS 'Trigger function that dates an updated row.';

DO $triggers$
DECLARE
    relation text;
BEGIN
    FOREACH relation IN ARRAY ARRAY['vendors', 'invoices', 'invoice_items', 'payments'] LOOP
        IF NOT EXISTS (
            SELECT FROM pg_trigger
            WHERE tgrelid = relation::regclass AND tgname = relation || '_set_updated_at' AND NOT tgisinternal
        ) THEN
            EXECUTE format(
                'CREATE TRIGGER %I BEFORE UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION set_updated_at()',
                relation || '_set_updated_at', relation
            );
        END IF;
    END LOOP;
END
$triggers$;
