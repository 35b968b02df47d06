SET LOCAL ROLE pg_monitor;
CREATE TABLE orders (id bigint);
