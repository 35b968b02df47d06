ALTER TABLE customers ADD COLUMN city text;
CREATE INDEX CONCURRENTLY customers_city_idx ON customers (city);
