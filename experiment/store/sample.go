package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-sqlite3"

	"github.com/inferbook/inferbook/experiment"
)

// sampleColumns are the columns of a sample after its point, in the order that
// [sampleRow] writes them and [sampleReader.decode] reads them.
var sampleColumns = []string{
	"seq", "worker", "class", "session", "turn", "phase",
	"scheduled_ns", "sent_ns", "connected_ns", "headers_ns", "first_event_ns",
	"first_reasoning_ns", "first_content_ns", "last_content_ns", "end_ns",
	"gaps", "tokens_at",
	"prompt_asked", "output_asked", "prompt_tokens", "cached_tokens", "output_tokens", "reasoning_tokens",
	"counted", "finish", "outcome", "http_status", "error", "retry_after_ns", "protocol", "reused", "reads", "events",
	"model", "fingerprint", "prompt_hash", "output_hash", "prompt", "output", "server",
	"replica", "model_asked", "first_lag_ns", "max_lag_ns",
}

// samplePage is how many samples one query fetches. A reader holds no lock while
// its caller works on a page, and never more than a page in memory.
const samplePage = 2048

// gapSpace is how many gaps are allocated at once.
const gapSpace = 1 << 13

var (
	insertSample = "INSERT INTO sample (point, " + strings.Join(sampleColumns, ", ") + ") VALUES (?" +
		strings.Repeat(", ?", len(sampleColumns)) + ")"
	selectSamples = "SELECT " + strings.Join(sampleColumns, ", ") +
		" FROM sample WHERE point = ? AND seq > ? ORDER BY seq LIMIT ?"
)

// sampleRow gives the values of one row; word turns a text that many samples
// share into its number.
func sampleRow(point int64, s *experiment.Sample, word func(string) (any, error)) ([]any, error) {
	var fail error
	w := func(text string) any {
		id, err := word(text)
		if err != nil && fail == nil {
			fail = err
		}
		return id
	}
	row := []any{
		point, int64(s.Seq), int64(s.Worker), w(s.Class), int64(s.Session), int64(s.Turn), w(string(s.Phase)),
		instant(s.Scheduled), instant(s.Sent), instant(s.Connected), instant(s.Headers), instant(s.FirstEvent),
		instant(s.FirstReasoning), instant(s.FirstContent), instant(s.LastContent), instant(s.End),
		blob(encodeGaps(s.Gaps)), blob(encodeTokens(s.TokensAt)),
		count(s.PromptAsked), count(s.OutputAsked), count(s.PromptTokens), count(s.CachedTokens), count(s.OutputTokens),
		count(s.ReasoningTokens),
		w(string(s.Counted)), w(s.Finish), w(string(s.Outcome)), int64(s.HTTPStatus), text(s.Error), int64(s.RetryAfter),
		w(s.Protocol), s.Reused, int64(s.Reads), int64(s.Events),
		w(s.Model), w(s.Fingerprint), text(s.PromptHash), text(s.OutputHash), text(s.Prompt), text(s.Output), text(s.Server),
		int64(s.Replica), w(s.ModelAsked), count(int(s.FirstLag)), count(int(s.MaxLag)),
	}
	return row, fail
}

// instant, count, text and blob give NULL for what did not happen, what nobody
// said, and what is empty.
func instant(i experiment.Instant) any {
	if !i.Happened() {
		return nil
	}
	return int64(i)
}

func count(n int) any {
	if n < 0 {
		return nil
	}
	return int64(n)
}

func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func blob(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

// Samples gives the samples of a point in the order of Seq, a page at a time:
// the loop may stop at any time, and may write to the notebook. A sample with an
// error is the last. The point need not exist; it then has no samples.
func (n *Notebook) Samples(ctx context.Context, pointID string) iter.Seq2[experiment.Sample, error] {
	return func(yield func(experiment.Sample, error) bool) {
		fail := func(err error) {
			yield(experiment.Sample{}, n.fault("reading the samples of point "+pointID, err))
		}
		var point int64
		err := n.read.QueryRowContext(ctx, "SELECT num FROM point WHERE id = ?", pointID).Scan(&point)
		if err == sql.ErrNoRows {
			return
		} else if err != nil {
			fail(err)
			return
		}
		r := sampleReader{words: &n.words, db: n.read}
		for after := -1; ; {
			if err := r.read(ctx, point, after); err != nil {
				fail(err)
				return
			}
			for i := range r.page {
				if !yield(r.page[i], nil) {
					return
				}
			}
			if len(r.page) < samplePage {
				return
			}
			after = r.page[samplePage-1].Seq
		}
	}
}

// CountSamples gives the number of samples of an experiment, over all its points.
func (n *Notebook) CountSamples(ctx context.Context, experimentID string) (int, error) {
	var total int
	err := n.read.QueryRowContext(ctx, `SELECT count(*) FROM sample s JOIN point p ON p.num = s.point
		WHERE p.experiment_id = ?`, experimentID).Scan(&total)
	return total, n.fault("counting samples", err)
}

// sampleReader decodes rows. It collects the first error of a row, so that the
// decoding of forty columns reads as a list.
type sampleReader struct {
	db    *sql.DB
	words *words
	ctx   context.Context
	row   []driver.Value
	next  int
	err   error
	page  []experiment.Sample // of the last read; each sample of it is given away by value
	// space is cut into the gaps of samples: one allocation serves many.
	space []experiment.Gap
	// met are the words of low numbers that were met, which takes no lock to look up.
	met [256]string
}

// read fetches the page after a sample.
func (r *sampleReader) read(ctx context.Context, point int64, after int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// The driver starts a goroutine for a query that can be cancelled; a page is
	// short, and the context is looked at before each.
	r.ctx = context.WithoutCancel(ctx)
	conn, err := r.db.Conn(r.ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(c any) error { return r.rows(c.(*sqlite3.SQLiteConn), point, after) })
}

// rows reads from the driver itself: on its way through database/sql each value of
// each row would be copied once more.
func (r *sampleReader) rows(conn *sqlite3.SQLiteConn, point int64, after int) (err error) {
	rows, err := conn.QueryContext(r.ctx, selectSamples, []driver.NamedValue{
		{Ordinal: 1, Value: point}, {Ordinal: 2, Value: int64(after)}, {Ordinal: 3, Value: int64(samplePage)}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	r.page, r.row = r.page[:0], make([]driver.Value, len(sampleColumns))
	for {
		if err := rows.Next(r.row); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		r.page = append(r.page, experiment.Sample{})
		if r.decode(&r.page[len(r.page)-1]); r.err != nil {
			return r.err
		}
	}
}

func (r *sampleReader) decode(s *experiment.Sample) {
	r.next = 0
	*s = experiment.Sample{
		Seq: r.int(), Worker: r.int(), Class: r.word(), Session: r.int(), Turn: r.int(),
		Phase:     experiment.Phase(r.word()),
		Scheduled: r.instant(), Sent: r.instant(), Connected: r.instant(), Headers: r.instant(), FirstEvent: r.instant(),
		FirstReasoning: r.instant(), FirstContent: r.instant(), LastContent: r.instant(), End: r.instant(),
		Gaps: r.gaps(), TokensAt: r.tokens(),
		PromptAsked: r.int(), OutputAsked: r.int(), PromptTokens: r.int(), CachedTokens: r.int(), OutputTokens: r.int(),
		ReasoningTokens: r.int(),
		Counted:         experiment.Counted(r.word()), Finish: r.word(), Outcome: experiment.Outcome(r.word()),
		HTTPStatus: r.int(), Error: r.text(), RetryAfter: time.Duration(r.int()), Protocol: r.word(), Reused: r.int() != 0,
		Reads: r.int(), Events: r.int(), Model: r.word(), Fingerprint: r.word(),
		PromptHash: r.text(), OutputHash: r.text(), Prompt: r.text(), Output: r.text(), Server: r.text(),
		Replica: r.int(), ModelAsked: r.word(), FirstLag: time.Duration(r.int()), MaxLag: time.Duration(r.int()),
	}
}

func (r *sampleReader) value() any {
	v := r.row[r.next]
	r.next++
	return v
}

// int gives −1 for NULL: both [experiment.Never] and [experiment.Unknown].
func (r *sampleReader) int() int {
	if v, ok := r.value().(int64); ok {
		return int(v)
	}
	return experiment.Unknown
}

func (r *sampleReader) instant() experiment.Instant {
	if v, ok := r.value().(int64); ok {
		return experiment.Instant(v)
	}
	return experiment.Never
}

func (r *sampleReader) text() string {
	v, _ := r.value().(string)
	return v
}

func (r *sampleReader) word() string {
	id, ok := r.value().(int64)
	if !ok {
		return ""
	}
	if id >= 0 && id < int64(len(r.met)) && r.met[id] != "" {
		return r.met[id]
	}
	w, err := r.words.text(r.ctx, r.db, id)
	r.fail(err)
	if id >= 0 && id < int64(len(r.met)) {
		r.met[id] = w
	}
	return w
}

func (r *sampleReader) gaps() []experiment.Gap {
	b, _ := r.value().([]byte)
	if len(b) == 0 {
		return nil
	}
	if cap(r.space)-len(r.space) < len(b) { // as many gaps as bytes, at most
		r.space = make([]experiment.Gap, 0, max(len(b), gapSpace))
	}
	start := len(r.space)
	all, err := appendGaps(r.space, b)
	if err != nil {
		r.fail(err)
		return nil
	}
	r.space = all
	return all[start:len(all):len(all)]
}

func (r *sampleReader) tokens() []int32 {
	b, _ := r.value().([]byte)
	t, err := decodeTokens(b)
	r.fail(err)
	return t
}

func (r *sampleReader) fail(err error) {
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("sample %v: %w", r.row[0], err)
	}
}

// words holds the texts of the table word that have been read. A word never
// changes, so that a text once read stays right.
type words struct {
	mu    sync.RWMutex
	texts map[int64]string
}

func (w *words) text(ctx context.Context, db *sql.DB, id int64) (string, error) {
	w.mu.RLock()
	t, ok := w.texts[id]
	w.mu.RUnlock()
	if ok {
		return t, nil
	}
	if err := db.QueryRowContext(ctx, "SELECT text FROM word WHERE id = ?", id).Scan(&t); err != nil {
		return "", fmt.Errorf("looking up word %d: %w", id, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.texts == nil {
		w.texts = map[int64]string{}
	}
	w.texts[id] = t
	return t, nil
}
