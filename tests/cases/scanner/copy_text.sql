COPY t (a, "b;c") FROM stdin;
1	it's; "odd" $$ /* -- \\ \N
\.x
2	\\.
\.

SELECT 1;
