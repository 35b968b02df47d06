-- Undoes 003_invoice_processing_fields. What the columns hold is lost; the constraints go with them.

DROP INDEX IF EXISTS invoices_unprocessed_received_at_idx;

ALTER TABLE invoices
    DROP COLUMN IF EXISTS approved_at,
    DROP COLUMN IF EXISTS approved_by,
    DROP COLUMN IF EXISTS processed_at,
    DROP COLUMN IF EXISTS processing_error,
    DROP COLUMN IF EXISTS processing_attempts,
    DROP COLUMN IF EXISTS recognition_confidence,
    DROP COLUMN IF EXISTS source_file,
    DROP COLUMN IF EXISTS received_at;
