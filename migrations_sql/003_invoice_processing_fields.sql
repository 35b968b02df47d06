-- What the mail room and the text recognition know about a document, and who approved it.
-- New columns are empty or have a constant default, so the table is not rewritten.
-- depends: 002_seed_data

ALTER TABLE invoices
    ADD COLUMN IF NOT EXISTS received_at             timestamptz,
    ADD COLUMN IF NOT EXISTS source_file             text,
    ADD COLUMN IF NOT EXISTS recognition_confidence  numeric(5, 4),
    ADD COLUMN IF NOT EXISTS processing_attempts     integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS processing_error        text,
    ADD COLUMN IF NOT EXISTS processed_at            timestamptz,
    ADD COLUMN IF NOT EXISTS approved_by             text,
    ADD COLUMN IF NOT EXISTS approved_at             timestamptz;

COMMENT ON COLUMN invoices.source_file IS 'Key of the scanned document in the object store.';
COMMENT ON COLUMN invoices.recognition_confidence IS 'From 0 to 1, as the text recognition reports it.';
COMMENT ON COLUMN invoices.processing_error IS 'What stopped the last attempt, empty after a success.';

DO $constraints$
DECLARE
    present name[] := ARRAY(SELECT conname FROM pg_constraint WHERE conrelid = 'invoices'::regclass);
BEGIN
    IF 'invoices_recognition_confidence_check' <> ALL (present) THEN
        ALTER TABLE invoices ADD CONSTRAINT invoices_recognition_confidence_check
            CHECK (recognition_confidence BETWEEN 0 AND 1);
    END IF;
    IF 'invoices_processing_attempts_check' <> ALL (present) THEN
        ALTER TABLE invoices ADD CONSTRAINT invoices_processing_attempts_check CHECK (processing_attempts >= 0);
    END IF;
    IF 'invoices_approved_check' <> ALL (present) THEN
        ALTER TABLE invoices ADD CONSTRAINT invoices_approved_check
            CHECK ((approved_by IS NULL) = (approved_at IS NULL));
    END IF;
END
$constraints$;

CREATE INDEX IF NOT EXISTS invoices_unprocessed_received_at_idx ON invoices (received_at)
    WHERE processed_at IS NULL;
