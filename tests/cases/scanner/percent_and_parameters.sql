SELECT '%s', 10 % 3, '%', '100%;', '%(name)s';
SELECT format('%I;%L', 'a', 'b');
DO $$ DECLARE x int := 1; BEGIN RAISE NOTICE '% ; %', x, x; END $$;
SELECT '\d+;', '\', ':name;', '::' ;
PREPARE p (int) AS SELECT $1;
