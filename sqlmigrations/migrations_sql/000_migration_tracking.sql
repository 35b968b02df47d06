-- The tables in which sqlmigrations keeps its records. They live in the schema named by SQLMIGRATIONS["SCHEMA"];
-- the runner sets search_path to it for this file. Released: later changes go into new files.

CREATE TABLE IF NOT EXISTS schema_migrations (
    id                 bigint GENERATED ALWAYS AS IDENTITY,
    label              text NOT NULL,
    key                text NOT NULL,
    version            bigint,
    name               text NOT NULL,
    kind               text NOT NULL,
    mode               text NOT NULL,
    checksum           text NOT NULL,
    sql_checksum       text NOT NULL,
    checksum_algorithm text NOT NULL,
    state              text NOT NULL,
    applied_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    execution_ms       double precision,
    applied_by         text NOT NULL DEFAULT session_user,
    run_id             uuid NOT NULL,
    statements_done    integer NOT NULL DEFAULT 0,
    statements_total   integer NOT NULL,
    late               boolean NOT NULL DEFAULT false,
    tool_version       text NOT NULL,
    metadata           jsonb NOT NULL DEFAULT '{}',
    CONSTRAINT schema_migrations_pkey PRIMARY KEY (id),
    CONSTRAINT schema_migrations_label_key_key UNIQUE (label, key),
    CONSTRAINT schema_migrations_state_check CHECK (state IN ('running', 'applied', 'partial')),
    CONSTRAINT schema_migrations_checksum_check CHECK (checksum ~ '^[0-9a-f]{64}$')
);

COMMENT ON TABLE schema_migrations IS 'SQL migrations in force, one row each; written by sqlmigrations only';
COMMENT ON COLUMN schema_migrations.key IS 'Version number without leading zeros; unique within the label';
COMMENT ON COLUMN schema_migrations.checksum IS 'SHA-256 of the text as executed: UTF-8, LF, no byte order mark';
COMMENT ON COLUMN schema_migrations.sql_checksum IS 'SHA-256 over tokens and effective directives; empty when not computed';
COMMENT ON COLUMN schema_migrations.execution_ms IS 'Milliseconds from BEGIN to before COMMIT; null when recorded without running';

CREATE TABLE IF NOT EXISTS schema_migration_events (
    id          bigint GENERATED ALWAYS AS IDENTITY,
    happened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    run_id      uuid NOT NULL,
    event       text NOT NULL,
    label       text,
    key         text,
    name        text,
    db_user     text NOT NULL DEFAULT session_user,
    os_user     text NOT NULL,
    host        text NOT NULL,
    pid         integer NOT NULL,
    git_commit  text,
    detail      jsonb NOT NULL DEFAULT '{}',
    CONSTRAINT schema_migration_events_pkey PRIMARY KEY (id)
);

CREATE INDEX IF NOT EXISTS schema_migration_events_label_key_idx ON schema_migration_events (label, key);
-- Lists of events show the newest first: each has its order from the index of its filter, and its ids, too, so that no
-- row is read that is not shown, however many there are. What follows a filter is the order of time; see admin/window.py.
CREATE INDEX IF NOT EXISTS schema_migration_events_happened_at_idx ON schema_migration_events (happened_at, id);
CREATE INDEX IF NOT EXISTS schema_migration_events_label_idx ON schema_migration_events (label, happened_at, id);
CREATE INDEX IF NOT EXISTS schema_migration_events_run_id_idx ON schema_migration_events (run_id, happened_at, id);
-- Failures and decisions, the last runs on the status page, and what status -v 2 compares with the rows. Single
-- statements, of which there can be a thousand to a file, are found without, for nearly every event is one.
CREATE INDEX IF NOT EXISTS schema_migration_events_event_idx ON schema_migration_events (event, happened_at, id)
 WHERE event NOT IN ('statement_started', 'statement_finished');

COMMENT ON TABLE schema_migration_events IS 'What happened to SQL migrations, when and by whom; rows are only ever added';

CREATE TABLE IF NOT EXISTS schema_migration_texts (
    checksum text NOT NULL,
    body     text NOT NULL,
    kept_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT schema_migration_texts_pkey PRIMARY KEY (checksum)
);

COMMENT ON TABLE schema_migration_texts IS 'The SQL and the down SQL as applied, by SHA-256; never a file with a password literal';
