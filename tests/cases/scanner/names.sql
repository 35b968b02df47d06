SELECT größe, "naïve; name", 名前, straße$x FROM tabelle;
SELECT a$b$c, a$$, _x, a1, "E", "$$", "--" FROM t;
SELECT 1 AS copy, 2 AS "from", stdin FROM copy_from_stdin;
