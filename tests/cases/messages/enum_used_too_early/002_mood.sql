ALTER TYPE mood ADD VALUE 'glad';
DO $$ BEGIN PERFORM 'glad'::mood; END $$;
