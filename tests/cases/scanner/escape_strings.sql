SELECT E'it\'s; one', e'\\', E'\\\'', E'''' ;
SELECT E'a''b\';c', E'\x41\u0042;';
SELECT typeE, 'a\' ;
SELECT E'first'
  'it\'s; continued';
SELECT 2;
SELECT E'a' || 'b\';
SELECT 'plain'
  'continued\';
SELECT B'1010', X'1F;', b'0';
