INSERT INTO customers VALUES (3, 'O'Brien');
