-- nothing; here
/* nor; here */
-- the end