-- it's a comment; with an apostrophe
/* so; is it's /* this; one */ still "inside; */
SELECT 1; -- trailing; don't
SELECT /* ; */ 2 -- ; '
  + 3; /* between */ /* two */
SELECT 4 /* $$ ' " */ ;
/*/* nested */*/ SELECT 5 /***/;
/**/SELECT/**/6/**/;
SELECT 7 -- last one; isn't closed