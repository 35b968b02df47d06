-- Three vendors with a few documents, known by the vendor's code and the document's number.
-- Rows that exist are asked for first, since ON CONFLICT alone would use up identity values on every run.
-- depends: 001_initial_schema

INSERT INTO vendors (code, name, tax_number, email, currency, payment_term_days)
SELECT
    seed.code, seed.name, seed.tax_number, seed.email, seed.currency::currency_code, seed.payment_term_days
FROM (
    VALUES
        ('NORTHWIND_PAPER', 'Northwind Paper GmbH', 'DE811907980', 'billing@northwind-paper.example', 'EUR', 30),
        ('HELVETIA_HOSTING', 'Helvetia Hosting AG', 'CHE-116.281.710', 'invoice@helvetia.example', 'CHF', 14),
        ('THAMES_COURIERS', 'Thames Couriers Ltd', 'GB123456789', 'accounts@thames-couriers.example', 'GBP', 45)
) AS seed (code, name, tax_number, email, currency, payment_term_days)
WHERE NOT EXISTS (SELECT FROM vendors v WHERE v.code = seed.code)
ON CONFLICT (code) DO NOTHING;

INSERT INTO invoices (
    vendor_id, number, document_type, status, currency, issued_on, due_on, net_amount, tax_amount
)
SELECT
    v.id, seed.number, seed.document_type::document_type, seed.status::invoice_status, v.currency,
    seed.issued_on::date, seed.issued_on::date + v.payment_term_days, seed.net_amount, seed.tax_amount
FROM (
    VALUES
        ('NORTHWIND_PAPER', 'RE-2025-0117', 'invoice', 'paid', '2025-01-20', 420.00, 79.80),
        ('NORTHWIND_PAPER', 'GS-2025-0009', 'credit_note', 'approved', '2025-02-03', -42.00, -7.98),
        ('HELVETIA_HOSTING', '100482', 'invoice', 'approved', '2025-02-01', 189.00, 15.31),
        ('THAMES_COURIERS', 'TC/88213', 'invoice', 'received', '2025-02-11', 64.50, 12.90)
) AS seed (code, number, document_type, status, issued_on, net_amount, tax_amount)
JOIN vendors v ON v.code = seed.code
WHERE NOT EXISTS (SELECT FROM invoices i WHERE i.vendor_id = v.id AND i.number = seed.number)
ON CONFLICT (vendor_id, number) DO NOTHING;

INSERT INTO invoice_items (invoice_id, position, description, quantity, unit_price, tax_rate)
SELECT i.id, seed.position, seed.description, seed.quantity, seed.unit_price, seed.tax_rate
FROM (
    VALUES
        ('NORTHWIND_PAPER', 'RE-2025-0117', 1, 'Copy paper A4, 80 g, box', 12.000, 28.0000, 0.1900),
        ('NORTHWIND_PAPER', 'RE-2025-0117', 2, 'Envelopes C5, 500 pieces', 3.000, 28.0000, 0.1900),
        ('NORTHWIND_PAPER', 'GS-2025-0009', 1, 'Returned, copy paper A4, 80 g, box', -1.500, 28.0000, 0.1900),
        ('HELVETIA_HOSTING', '100482', 1, 'Managed server, February', 1.000, 189.0000, 0.0810),
        ('THAMES_COURIERS', 'TC/88213', 1, 'Same-day delivery, zone 2', 3.000, 21.5000, 0.2000)
) AS seed (code, number, position, description, quantity, unit_price, tax_rate)
JOIN vendors v ON v.code = seed.code
JOIN invoices i ON i.vendor_id = v.id AND i.number = seed.number
WHERE NOT EXISTS (SELECT FROM invoice_items t WHERE t.invoice_id = i.id AND t.position = seed.position)
ON CONFLICT (invoice_id, position) DO NOTHING;

INSERT INTO payments (invoice_id, reference, method, amount, paid_at)
SELECT i.id, seed.reference, seed.method::payment_method, seed.amount, seed.paid_at::timestamptz
FROM (
    VALUES
        ('NORTHWIND_PAPER', 'RE-2025-0117', 'SEPA-7F31-0021', 'bank_transfer', 499.80, '2025-02-14 09:30:00+00')
) AS seed (code, number, reference, method, amount, paid_at)
JOIN vendors v ON v.code = seed.code
JOIN invoices i ON i.vendor_id = v.id AND i.number = seed.number
WHERE NOT EXISTS (SELECT FROM payments p WHERE p.invoice_id = i.id AND p.reference = seed.reference)
ON CONFLICT (invoice_id, reference) DO NOTHING;
