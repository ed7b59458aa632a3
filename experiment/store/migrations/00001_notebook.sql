-- +goose Up
-- SQLite keeps a comment that stands inside a CREATE statement, so the comments here are
-- what `inferbook sql "SELECT sql FROM sqlite_schema"` shows.

CREATE TABLE meta ( -- facts about this file
    key   TEXT PRIMARY KEY, -- min_reader_version: the oldest schema version whose programs read this file rightly
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE experiment ( -- what one run recorded: one environment, one specification, its points
    id           TEXT PRIMARY KEY,                         -- ULID
    number       INTEGER NOT NULL UNIQUE CHECK (number > 0), -- alias within this file: exp-<number>
    name         TEXT NOT NULL,                            -- '' = no name; else unique in this file
    message      TEXT NOT NULL,                            -- why the person made this run
    status       TEXT NOT NULL CHECK (status IN ('running', 'complete', 'interrupted', 'failed')),
    started_ns   INTEGER NOT NULL,                         -- ns since 1970, UTC
    ended_ns     INTEGER,                                  -- NULL = runs, or never ended
    deleted_ns   INTEGER,                                  -- moved to the trash; NULL = not
    spec         TEXT NOT NULL CHECK (json_valid(spec)),   -- everything a person decided about the run, JSON
    environment  TEXT NOT NULL CHECK (json_valid(environment)), -- {"facts":[{"key","value","source"}]}; see the view facts
    writer_host  TEXT,    -- the four writer columns name the process that is writing; NULL once the run has ended
    writer_boot  TEXT,    -- boot of that host, and pid namespace
    writer_pid   INTEGER,
    writer_start INTEGER  -- the process's start in clock ticks since boot; 0 = the system does not tell
) STRICT;

CREATE UNIQUE INDEX experiment_name ON experiment (name) WHERE name <> '';

CREATE TABLE experiment_tag ( -- labels a person gave
    experiment_id TEXT NOT NULL REFERENCES experiment (id),
    tag           TEXT NOT NULL,
    PRIMARY KEY (experiment_id, tag)
) STRICT, WITHOUT ROWID;

CREATE INDEX experiment_tag_tag ON experiment_tag (tag);

CREATE TABLE point ( -- one load level of an experiment, and one repeat of it
    num                INTEGER PRIMARY KEY,              -- what samples refer to; means nothing outside this file
    id                 TEXT NOT NULL UNIQUE,             -- ULID
    experiment_id      TEXT NOT NULL REFERENCES experiment (id),
    ordinal            INTEGER NOT NULL,                 -- order in which the points were run, from 0
    repeat             INTEGER NOT NULL,                 -- round, from 0
    load               TEXT NOT NULL CHECK (json_valid(load)), -- what was asked of the server, JSON
    concurrency        INTEGER AS (coalesce(load ->> 'concurrency', 0)) VIRTUAL, -- workers of a closed loop; 0 = no closed loop
    seed               INTEGER NOT NULL,                 -- the 64 bits of an unsigned seed
    status             TEXT NOT NULL CHECK (status IN ('running', 'complete', 'interrupted', 'failed')),
    anchor_ns          INTEGER NOT NULL,                 -- ns since 1970, UTC, of instant 0 of this point's samples
    window_start_ns    INTEGER,                          -- ns since the anchor: first request of the measured phase; NULL = never
    window_send_end_ns INTEGER,                          -- sending stopped; what completes later is in no throughput
    window_end_ns      INTEGER,                          -- the last answer was over
    window_rule        TEXT NOT NULL,                    -- steady-state rule in force
    health             TEXT NOT NULL CHECK (json_valid(health)), -- what the client says about its own lateness and CPU, JSON
    UNIQUE (experiment_id, ordinal)
) STRICT;

CREATE TABLE word ( -- texts that many samples share, kept once
    id   INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT;

-- A row with its gaps is often longer than the quarter page that an index
-- b-tree keeps in place, so this is a rowid table with an index beside it.
CREATE TABLE sample ( -- one request; *_ns count from the point's anchor, NULL = did not happen; token counts NULL = nobody said
    point              INTEGER NOT NULL REFERENCES point (num),
    seq                INTEGER NOT NULL, -- order of scheduling within the point, from 0
    worker             INTEGER NOT NULL, -- closed-loop worker, from 0
    class              INTEGER,          -- word.id: the workload's class
    session            INTEGER NOT NULL, -- conversation; 0 = a single request
    turn               INTEGER NOT NULL, -- place in the conversation
    phase              INTEGER,          -- word.id: warmup, measured, cooldown
    scheduled_ns       INTEGER,          -- the plan wanted it sent
    sent_ns            INTEGER,          -- it was handed to the HTTP client
    connected_ns       INTEGER,          -- it had a connection
    headers_ns         INTEGER,          -- the response headers had come
    first_event_ns     INTEGER,          -- first event of any kind
    first_reasoning_ns INTEGER,          -- first reasoning text
    first_content_ns   INTEGER,          -- first content text
    last_content_ns    INTEGER,          -- last reasoning or content text
    end_ns             INTEGER,          -- the answer was over
    gaps               BLOB,             -- times between events with text: varint median in us, then for each gap 0 = came in the same read, else varint 1 + zigzag(us - median)
    tokens_at          BLOB,             -- tokens in each event with text: varint count, then zigzag varints; one alone = the same for all; NULL = not told
    prompt_asked       INTEGER,          -- tokens that the workload wanted in the prompt
    output_asked       INTEGER,          -- tokens that the workload wanted in the answer
    prompt_tokens      INTEGER,
    cached_tokens      INTEGER,          -- prompt tokens that the server had in its cache
    output_tokens      INTEGER,
    reasoning_tokens   INTEGER,
    counted            INTEGER,          -- word.id: who counted the output tokens (usage, continuous, tokenize, events, none)
    finish             INTEGER,          -- word.id: finish reason as the server gave it; NULL = none came
    outcome            INTEGER,          -- word.id: ok, empty, truncated, http, protocol, timeout, cancelled, refused
    http_status        INTEGER NOT NULL, -- 0 = no answer came
    error              TEXT,             -- what went wrong
    retry_after_ns     INTEGER NOT NULL, -- the server's Retry-After; 0 = none
    protocol           INTEGER,          -- word.id: HTTP version of the answer
    reused             INTEGER NOT NULL, -- 1 = on a connection kept from before
    reads              INTEGER NOT NULL, -- reads of the body that returned bytes
    events             INTEGER NOT NULL, -- events with text
    model              INTEGER,          -- word.id: model as answered
    fingerprint        INTEGER,          -- word.id: system fingerprint as answered
    prompt_hash        TEXT,             -- first 16 hex digits of the SHA-256 of the prompt
    output_hash        TEXT,             -- likewise of the answer
    prompt             TEXT,             -- NULL unless the run was told to keep texts
    output             TEXT,             -- likewise
    server             TEXT              -- what the server said about this request's timing, JSON as it sent it
) STRICT;

CREATE UNIQUE INDEX sample_seq ON sample (point, seq);

CREATE TABLE figure ( -- cached figures of a point, so that a listing reads no sample; can be computed again at any time
    point        INTEGER NOT NULL REFERENCES point (num),
    definition   INTEGER NOT NULL, -- version of the set of metric definitions
    sent         INTEGER NOT NULL, -- measured requests
    ok           INTEGER NOT NULL, -- of these, the successful ones
    output_tok_s REAL,             -- output tokens per second; NULL = none
    ttft_p95_ms  REAL,
    tpot_p95_ms  REAL,
    PRIMARY KEY (point, definition)
) STRICT, WITHOUT ROWID;

CREATE TABLE summary ( -- cached full summary of a point, JSON; apart from figure so that listings stay small
    point      INTEGER NOT NULL,
    definition INTEGER NOT NULL,
    json       TEXT NOT NULL CHECK (json_valid(json)),
    PRIMARY KEY (point, definition),
    FOREIGN KEY (point, definition) REFERENCES figure (point, definition)
) STRICT;

CREATE TABLE reading ( -- the reading list
    slug     TEXT PRIMARY KEY,
    title    TEXT NOT NULL,
    url      TEXT NOT NULL,
    kind     TEXT NOT NULL,    -- article, paper, repository, course, index, path
    section  TEXT NOT NULL,
    position INTEGER NOT NULL, -- place in the list, from 1
    status   TEXT NOT NULL CHECK (status IN ('unread', 'reading', 'read', 'tested')),
    body     TEXT NOT NULL     -- Markdown
) STRICT, WITHOUT ROWID;

CREATE TABLE note ( -- what the person wrote
    id            TEXT PRIMARY KEY,                           -- ULID
    number        INTEGER NOT NULL UNIQUE CHECK (number > 0), -- alias within this file: note-<number>
    experiment_id TEXT NOT NULL REFERENCES experiment (id),
    point_id      TEXT REFERENCES point (id),                 -- NULL = about the whole experiment
    text          TEXT NOT NULL,                              -- Markdown
    created_ns    INTEGER NOT NULL,                           -- ns since 1970, UTC
    deleted_ns    INTEGER                                     -- NULL = not deleted
) STRICT;

CREATE INDEX note_experiment ON note (experiment_id);

CREATE TABLE note_revision ( -- earlier texts of an edited note
    note_id     TEXT NOT NULL REFERENCES note (id),
    revision    INTEGER NOT NULL, -- from 1, oldest first
    text        TEXT NOT NULL,
    replaced_ns INTEGER NOT NULL, -- ns since 1970, UTC
    PRIMARY KEY (note_id, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE note_reading ( -- which readings a note leans on
    note_id  TEXT NOT NULL REFERENCES note (id),
    slug     TEXT NOT NULL REFERENCES reading (slug),
    position INTEGER NOT NULL, -- order in which the note names them, from 0
    PRIMARY KEY (note_id, slug)
) STRICT, WITHOUT ROWID;

CREATE INDEX note_reading_slug ON note_reading (slug);

CREATE TABLE price ( -- dated, sourced price of an hour of one GPU or device
    id         TEXT PRIMARY KEY,                          -- ULID
    hardware   TEXT NOT NULL,                             -- as in the fact gpu.model
    usd_hour   REAL NOT NULL CHECK (usd_hour > 0),        -- US dollars
    date       TEXT NOT NULL CHECK (date IS date(date)),  -- day on which the price was true, YYYY-MM-DD
    source     TEXT NOT NULL CHECK (source <> ''),
    created_ns INTEGER NOT NULL                           -- ns since 1970, UTC
) STRICT;

CREATE INDEX price_hardware ON price (hardware, date);

CREATE VIEW experiments AS -- one row an experiment that is not in the trash
SELECT e.number AS experiment, e.name, e.status,
       strftime('%Y-%m-%dT%H:%M:%SZ', e.started_ns / 1000000000, 'unixepoch') AS started,
       (e.ended_ns - e.started_ns) / 1e9 AS seconds,
       e.spec ->> 'model' AS model, e.spec ->> 'input_tokens' AS input_tokens, e.spec ->> 'output_tokens' AS output_tokens,
       (SELECT count(*) FROM point p WHERE p.experiment_id = e.id) AS points,
       (SELECT group_concat(t.tag, ', ') FROM experiment_tag t WHERE t.experiment_id = e.id) AS tags,
       e.message, e.id
FROM experiment e WHERE e.deleted_ns IS NULL;

CREATE VIEW facts AS -- one row a fact of an environment, with its source: detected, declared, simulated, imported, unknown
SELECT e.number AS experiment, f.value ->> 'key' AS key, f.value ->> 'value' AS value, f.value ->> 'source' AS source
FROM experiment e, json_each(e.environment, '$.facts') f WHERE e.deleted_ns IS NULL;

CREATE VIEW points AS -- one row a point, with its newest cached figures
SELECT e.number AS experiment, p.ordinal AS point, p.concurrency, p.repeat, p.status,
       (p.window_send_end_ns - p.window_start_ns) / 1e9 AS window_s,
       f.sent, f.ok, f.output_tok_s, f.ttft_p95_ms, f.tpot_p95_ms, f.definition, p.id
FROM point p JOIN experiment e ON e.id = p.experiment_id
LEFT JOIN figure f ON f.point = p.num AND f.definition = (SELECT max(g.definition) FROM figure g WHERE g.point = p.num)
WHERE e.deleted_ns IS NULL;

CREATE VIEW samples AS -- one row a request, words spelt out, with ttft@1, e2e@1 and tpot@1 in ms
SELECT e.number AS experiment, p.ordinal AS point, p.concurrency, p.repeat, s.seq, s.worker, wc.text AS class,
       wp.text AS phase, wo.text AS outcome, wf.text AS finish, s.http_status,
       s.prompt_tokens, s.cached_tokens, s.output_tokens, s.reasoning_tokens, wn.text AS counted,
       (s.sent_ns - s.scheduled_ns) / 1e6 AS send_lag_ms,
       (t.first_text_ns - s.sent_ns) / 1e6 AS ttft_ms,
       (s.last_content_ns - s.sent_ns) / 1e6 AS e2e_ms,
       CASE WHEN s.output_tokens > 1 THEN (s.last_content_ns - t.first_text_ns) / 1e6 / (s.output_tokens - 1) END AS tpot_ms,
       s.events, s.reads, s.reused, wh.text AS protocol, wm.text AS model, s.error
FROM sample s JOIN point p ON p.num = s.point JOIN experiment e ON e.id = p.experiment_id
JOIN (SELECT rowid AS id, min(coalesce(first_reasoning_ns, first_content_ns), coalesce(first_content_ns, first_reasoning_ns)) AS first_text_ns
      FROM sample) t ON t.id = s.rowid
LEFT JOIN word wc ON wc.id = s.class LEFT JOIN word wp ON wp.id = s.phase
LEFT JOIN word wo ON wo.id = s.outcome LEFT JOIN word wf ON wf.id = s.finish
LEFT JOIN word wn ON wn.id = s.counted LEFT JOIN word wh ON wh.id = s.protocol
LEFT JOIN word wm ON wm.id = s.model
WHERE e.deleted_ns IS NULL;

CREATE VIEW notes AS -- one row a note that is not deleted, with the readings it names
SELECT n.number AS note, e.number AS experiment, p.ordinal AS point,
       strftime('%Y-%m-%dT%H:%M:%SZ', n.created_ns / 1000000000, 'unixepoch') AS created,
       (SELECT group_concat(r.slug, ', ') FROM note_reading r WHERE r.note_id = n.id) AS readings, n.text, n.id
FROM note n JOIN experiment e ON e.id = n.experiment_id LEFT JOIN point p ON p.id = n.point_id
WHERE n.deleted_ns IS NULL;

INSERT INTO meta (key, value) VALUES ('min_reader_version', '1');
PRAGMA application_id = 0x6966626b;
PRAGMA user_version = 1;
