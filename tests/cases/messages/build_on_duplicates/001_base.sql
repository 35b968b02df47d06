CREATE TABLE customers (email text);
INSERT INTO customers VALUES ('ada@example.org'), ('ada@example.org');
