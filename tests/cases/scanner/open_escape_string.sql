SELECT 'ok\';
SELECT E'not\';
