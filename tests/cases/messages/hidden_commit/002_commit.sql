UPDATE customers SET name = 'Grace' WHERE id = 2;
COMMIT;
DELETE FROM customers WHERE id = 1;
