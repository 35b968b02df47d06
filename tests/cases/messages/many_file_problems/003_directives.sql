-- transacton: off
-- depends: 001_bas
SELECT 1;
