-- +goose Up
CREATE TABLE expectation ( -- what the person expected of a run, recorded before its first byte; scored from the samples whenever it is shown
    id            TEXT PRIMARY KEY,                              -- ULID
    experiment_id TEXT NOT NULL REFERENCES experiment(id),
    text          TEXT NOT NULL CHECK (text <> ''),              -- 'ttft.p95<300ms', as it was typed
    confidence    REAL CHECK (confidence > 0 AND confidence < 1), -- how sure the person was, as a share; NULL = did not say
    created_ns    INTEGER NOT NULL                               -- ns since 1970, UTC
) STRICT;
CREATE INDEX expectation_experiment ON expectation(experiment_id);

CREATE TABLE rule_setting ( -- what the person changed about a rule; the newest of a rule and threshold counts
    id         TEXT PRIMARY KEY,                  -- ULID
    rule       TEXT NOT NULL CHECK (rule <> ''),  -- 'I25'
    threshold  TEXT NOT NULL,                     -- name of the rule's threshold; '' = whether the rule is muted
    value      REAL,                              -- the threshold, or 1 = muted and 0 = not; NULL = the rule's own again
    why        TEXT NOT NULL,                     -- the person's reason
    created_ns INTEGER NOT NULL                   -- ns since 1970, UTC
) STRICT;

CREATE TABLE noise ( -- how far two runs of one configuration lie apart on one host: differences under that are none
    id         TEXT PRIMARY KEY,                        -- ULID
    host       TEXT NOT NULL,                           -- the machine that measured
    config     TEXT NOT NULL,                           -- what was measured, as the program names it
    metric     TEXT NOT NULL CHECK (metric <> ''),      -- 'ttft.p95'
    floor      REAL NOT NULL CHECK (floor >= 0),        -- share of the value
    runs       INTEGER NOT NULL CHECK (runs > 1),       -- runs that it rests on
    experiments TEXT NOT NULL,                          -- JSON: the ULIDs of their experiments
    created_ns INTEGER NOT NULL                         -- ns since 1970, UTC
) STRICT;
CREATE INDEX noise_config ON noise(host, config);

PRAGMA user_version = 4;
