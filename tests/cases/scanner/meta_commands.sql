\set x 1
SELECT 1;
  \i other.sql
\copy t from 'x;y'
SELECT 'a\b' \gexec
SELECT 2; \echo it's ; done
SELECT (3 \
);
\restrict
\restricted
