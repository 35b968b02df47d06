-- depends: 003_b
SELECT 1;
