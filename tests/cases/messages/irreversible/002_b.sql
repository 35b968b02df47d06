-- irreversible: for ever
SELECT 2;
