CREATE TABLE orders (
  id bigint PRIMARY KEY,
  customer bigint REFERENCES customers (id) DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO orders VALUES (1, 99);
