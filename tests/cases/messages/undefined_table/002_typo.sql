COMMENT ON TABLE customers IS 'People who buy';
INSERT INTO custommers VALUES (3, 'Grace');
