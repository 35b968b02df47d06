SELECT 1_000, 0x1F, 0o17, 0b11, 1.5e-3, .5, 1., 1e10, 1.5E+3;
SELECT 1::int, x[1:2], 1.5::numeric, -1, +1;
DO $$ BEGIN FOR i IN 1..10 LOOP NULL; END LOOP; END $$;
SELECT 5 FROM t;
