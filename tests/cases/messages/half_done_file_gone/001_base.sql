-- transaction: off
CREATE TABLE t ();
SELECT 1 / 0;
