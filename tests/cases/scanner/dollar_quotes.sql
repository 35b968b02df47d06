SELECT $$a;b$$, $$$$, $x$;$x$, $_1$;$_1$;
SELECT $outer$ ; $inner$ ; $deepest$ ; $$ ; $$ $deepest$ ; $inner$ ; $outer$;
SELECT $größe$;$größe$, $名$;$$;$名$;
SELECT $a$ $A$ ; $a$;
SELECT $delim$ x $delimiter$ $delim; $delim$;
SELECT $a$ ; $b$a$;
SELECT $q$it's "not" /* a quote -- or comment;$q$;
PREPARE p AS SELECT $1, $2::int + $10, a$b$c, a$1, b$$ FROM t WHERE x$=$1;
SELECT 2;
