-- +goose Up
-- SQLite keeps the text of an added column as it stands here, up to the semicolon, so its comment
-- is closed before that. In the table point it puts the column before the comment of health, which
-- stands between the columns and the constraint.

ALTER TABLE sample ADD COLUMN replica INTEGER NOT NULL DEFAULT 0 /* server it was sent to: place in the specification's replicas, from 0 */;
ALTER TABLE sample ADD COLUMN model_asked INTEGER /* word.id: model that the request named, where the run has several */;
ALTER TABLE sample ADD COLUMN first_lag_ns INTEGER /* from the kernel's receipt of the first event with text until it was read; NULL = arrivals are not the kernel's */;
ALTER TABLE sample ADD COLUMN max_lag_ns INTEGER /* likewise the longest of all events with text */;

ALTER TABLE point ADD COLUMN ended TEXT /* why it ended before its plan did: over-saturated, precise, errors, cost; NULL = it did not. Of health: */;

CREATE TABLE schedule ( -- arrivals of a point's open loops, fixed before the first byte was sent; a closed loop has none
    point   INTEGER PRIMARY KEY REFERENCES point (num),
    entries BLOB NOT NULL -- byte 1, then uvarints: count; an entry: ns since the entry before, class, item + 1, turns; a turn: prompt and output tokens, ns of thinking before it
) STRICT;

DROP VIEW points;
CREATE VIEW points AS -- one row a point, with its newest cached figures
SELECT e.number AS experiment, p.ordinal AS point, p.concurrency,
       p.load ->> 'rate' AS rate, -- mean arrivals per second of the open loops; NULL = no open loop
       p.load ->> 'variant' AS variant, p.repeat, p.status, p.ended,
       (p.window_send_end_ns - p.window_start_ns) / 1e9 AS window_s,
       f.sent, f.ok, f.output_tok_s, f.ttft_p95_ms, f.tpot_p95_ms, f.definition, p.id
FROM point p JOIN experiment e ON e.id = p.experiment_id
LEFT JOIN figure f ON f.point = p.num AND f.definition = (SELECT max(g.definition) FROM figure g WHERE g.point = p.num)
WHERE e.deleted_ns IS NULL;

DROP VIEW samples;
CREATE VIEW samples AS -- one row a request, words spelt out, with ttft@1, e2e@1 and tpot@1 in ms; *_sched_ms count from the schedule
SELECT e.number AS experiment, p.ordinal AS point, p.concurrency,
       p.load ->> 'rate' AS rate, -- mean arrivals per second of the open loops; NULL = no open loop
       p.load ->> 'variant' AS variant, p.repeat, s.seq, s.worker, s.replica, wc.text AS class,
       s.scheduled_ns / 1e9 AS scheduled_s, s.session, s.turn, -- number of the conversation and place in it, from 0
       wp.text AS phase,
       wo.text AS outcome, -- ok, empty, truncated, http, protocol, timeout, cancelled, refused, or cut: the server silently cut the prompt
       wf.text AS finish, s.http_status,
       s.prompt_asked, s.prompt_tokens, s.cached_tokens, s.output_tokens, s.reasoning_tokens, wn.text AS counted,
       (s.sent_ns - s.scheduled_ns) / 1e6 AS send_lag_ms,
       s.first_lag_ns / 1e6 AS first_lag_ms,
       (t.first_text_ns - s.sent_ns) / 1e6 AS ttft_ms,
       (t.first_text_ns - s.scheduled_ns) / 1e6 AS ttft_sched_ms,
       (s.last_content_ns - s.sent_ns) / 1e6 AS e2e_ms,
       (s.last_content_ns - s.scheduled_ns) / 1e6 AS e2e_sched_ms,
       CASE WHEN s.output_tokens > 1 THEN (s.last_content_ns - t.first_text_ns) / 1e6 / (s.output_tokens - 1) END AS tpot_ms,
       s.events, s.reads, s.reused, wh.text AS protocol, wa.text AS model_asked, wm.text AS model, s.error
FROM sample s JOIN point p ON p.num = s.point JOIN experiment e ON e.id = p.experiment_id
JOIN (SELECT rowid AS id, min(coalesce(first_reasoning_ns, first_content_ns), coalesce(first_content_ns, first_reasoning_ns)) AS first_text_ns
      FROM sample) t ON t.id = s.rowid
LEFT JOIN word wc ON wc.id = s.class LEFT JOIN word wp ON wp.id = s.phase
LEFT JOIN word wo ON wo.id = s.outcome LEFT JOIN word wf ON wf.id = s.finish
LEFT JOIN word wn ON wn.id = s.counted LEFT JOIN word wh ON wh.id = s.protocol
LEFT JOIN word wm ON wm.id = s.model LEFT JOIN word wa ON wa.id = s.model_asked
WHERE e.deleted_ns IS NULL;

-- A program of schema 1 would show every rate of an open loop as the one level c=0, and cannot
-- decode a specification whose lengths are distributions.
UPDATE meta SET value = '2' WHERE key = 'min_reader_version';
PRAGMA user_version = 2;
