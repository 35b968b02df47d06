SELECT U&'d\0061t\+000061;', U&"d\0061;ta" FROM t;
SELECT U&'back\\slash;' UESCAPE '!', u&'it''s;';
SELECT u&b, U & 'x;';
SELECT U&'a\' UESCAPE '!', 'b;';
