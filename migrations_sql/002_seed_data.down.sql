-- Undoes 002_seed_data and nothing else. Items go with their invoices; a vendor or an invoice that has
-- got other rows since then stops it, because those are not ours to delete.

DELETE FROM payments p
USING invoices i, vendors v
WHERE p.invoice_id = i.id AND i.vendor_id = v.id
  AND (v.code, i.number, p.reference) IN (('NORTHWIND_PAPER', 'RE-2025-0117', 'SEPA-7F31-0021'));

DELETE FROM invoices i
USING vendors v
WHERE i.vendor_id = v.id
  AND (v.code, i.number) IN (
      ('NORTHWIND_PAPER', 'RE-2025-0117'),
      ('NORTHWIND_PAPER', 'GS-2025-0009'),
      ('HELVETIA_HOSTING', '100482'),
      ('THAMES_COURIERS', 'TC/88213')
  );

DELETE FROM vendors WHERE code IN ('NORTHWIND_PAPER', 'HELVETIA_HOSTING', 'THAMES_COURIERS');
