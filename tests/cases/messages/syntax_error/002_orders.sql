-- depends: 001_base
CREATE TABLE orders (
  id bigint PRIMARY KEY,
  customer bigint NOT NUL
);
