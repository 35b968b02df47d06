-- lock-timeout: 3s
-- statement-timeout: 15min
SELECT 2;
