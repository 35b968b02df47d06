COPY t (a,b) FROM STDIN WITH (FORMAT csv);
1,"two
lines; '"
\.
COPY public.t FROM STDIN DELIMITER ';' NULL '' ; -- a comment; here
1;2
\.
SELECT 1