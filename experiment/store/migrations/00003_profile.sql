-- +goose Up
CREATE TABLE profile ( -- rows of the simulated engine's catalogue that were fitted to experiments of this notebook; the newest of a name counts
    id         TEXT PRIMARY KEY,                  -- ULID
    name       TEXT NOT NULL CHECK (name <> ''),
    rows       TEXT NOT NULL CHECK (rows <> ''),  -- YAML, as the simulated engine reads it
    fit        TEXT NOT NULL,                     -- JSON: the points, their residuals, and the errors before, after and of points that were held out
    created_ns INTEGER NOT NULL                   -- ns since 1970, UTC
) STRICT;

PRAGMA user_version = 3;
