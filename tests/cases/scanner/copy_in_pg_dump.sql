\restrict aBc123

SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);

COPY public.t (a) FROM stdin;
1
\.


SELECT pg_catalog.setval('public.s', 1, true);

\unrestrict aBc123

