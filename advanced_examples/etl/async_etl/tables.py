"""The tables of a pipeline, in a schema of its own."""

LOCK = 7_301_501  # two first runs at once would make the tables twice

# The newest piece: where it is, all are.
TABLES_ARE_THERE = """
    SELECT 1 FROM pg_constraint WHERE conname = 'known_status' AND conrelid = to_regclass('runs')
"""
TABLES = """
    CREATE TABLE IF NOT EXISTS source_clocks (
        source text COLLATE "C" PRIMARY KEY,
        as_of timestamptz NOT NULL
    );
    CREATE TABLE IF NOT EXISTS weather_readings (
        city text COLLATE "C" NOT NULL,
        observed_at timestamptz NOT NULL,
        temperature_c double precision NOT NULL CHECK (temperature_c BETWEEN -90 AND 60),
        humidity smallint NOT NULL CHECK (humidity BETWEEN 0 AND 100),
        wind_kmh smallint NOT NULL CHECK (wind_kmh >= 0),
        conditions text NOT NULL,
        as_of timestamptz NOT NULL,
        PRIMARY KEY (city, observed_at)
    );
    CREATE TABLE IF NOT EXISTS stock_quotes (
        symbol text COLLATE "C" NOT NULL,
        observed_at timestamptz NOT NULL,
        open numeric(12, 2) NOT NULL,
        high numeric(12, 2) NOT NULL,
        low numeric(12, 2) NOT NULL CHECK (low > 0 AND low <= high),
        price numeric(12, 2) NOT NULL CHECK (price BETWEEN low AND high),
        volume bigint NOT NULL CHECK (volume >= 0),
        as_of timestamptz NOT NULL,
        PRIMARY KEY (symbol, observed_at)
    );
    CREATE TABLE IF NOT EXISTS dead_letters (
        letter text COLLATE "C" PRIMARY KEY,    -- SHA-256 of kind, origin, as_of and payload
        kind text NOT NULL,
        origin text NOT NULL,                   -- the series or the file
        format text NOT NULL CHECK (format IN ('json', 'csv', 'answer')),
        payload bytea NOT NULL,                 -- what came, byte for byte
        field text NOT NULL,
        reason text NOT NULL,
        as_of timestamptz,
        run_id uuid NOT NULL,
        resolved_by uuid                        -- the run that replayed it
    );
    CREATE TABLE IF NOT EXISTS runs (
        run_id uuid PRIMARY KEY,
        what text NOT NULL,
        status text NOT NULL,
        message text NOT NULL DEFAULT '',
        started_at timestamptz NOT NULL DEFAULT now(),
        finished_at timestamptz
    );
    ALTER TABLE runs DROP CONSTRAINT IF EXISTS runs_status_check;
    ALTER TABLE runs ADD CONSTRAINT known_status CHECK (
        status IN ('running', 'complete', 'incomplete', 'failed', 'abandoned'));
    CREATE TABLE IF NOT EXISTS batches (
        run_id uuid NOT NULL REFERENCES runs,
        number integer NOT NULL,
        extracted integer NOT NULL,
        loaded integer NOT NULL,
        dead_lettered integer NOT NULL,
        deduplicated integer NOT NULL,
        PRIMARY KEY (run_id, number),
        CONSTRAINT account_balances CHECK (extracted = loaded + dead_lettered + deduplicated)
    );
    CREATE OR REPLACE VIEW account AS
        SELECT run_id, what, status, message, started_at,
               coalesce(sum(extracted), 0)::bigint AS extracted,
               coalesce(sum(loaded), 0)::bigint AS loaded,
               coalesce(sum(dead_lettered), 0)::bigint AS dead_lettered,
               coalesce(sum(deduplicated), 0)::bigint AS deduplicated
        FROM runs LEFT JOIN batches USING (run_id) GROUP BY run_id;
    CREATE OR REPLACE VIEW current_weather AS
        SELECT DISTINCT ON (city) * FROM weather_readings ORDER BY city, observed_at DESC;
"""
