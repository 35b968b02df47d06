SELECT 1;

   DO $$ $a$; $a$