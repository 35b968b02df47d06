SELECT 'a;b', 'it''s; fine', '', '''', 'back\', 'slash';
SELECT "a;b", "say ""hi"";", "x'y", 'x"y';
SELECT 'two
lines; of text';
SELECT 'no comment -- here', '/* nor; here', '/**"}', '--';
SELECT 1;
