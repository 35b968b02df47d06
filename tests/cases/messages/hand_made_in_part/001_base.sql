CREATE TABLE customers (id bigint);
CREATE TABLE orders (id bigint);
