copy t from STDIN;
1
\.