-- irreversible: the first one
CREATE TABLE customers (id bigint PRIMARY KEY);
