package store

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/inferbook/inferbook/experiment"
)

func ask(t *testing.T, n *Notebook, query string) (cols []string, rows [][]any, err error) {
	err = n.Query(t.Context(), query, func(c []string, row []any) error {
		cols, rows = slices.Clone(c), append(rows, slices.Clone(row))
		return nil
	})
	return cols, rows, err
}

func TestQuery(t *testing.T) {
	n := fresh(t)
	e := experiment.Experiment{Name: "x", Spec: wholeSpec()}
	e.Environment.Set("gpu.model", "h100-sxm", experiment.Declared)
	mustCreate(t, n, e)
	for _, c := range []struct {
		query string
		want  string // the columns and rows
	}{
		{"SELECT 1 AS a, 2.5 AS b, 'x' AS c, NULL AS d, x'00ff' AS e", "[a b c d e] [[1 2.5 x <nil> [0 255]]]"},
		{" -- which\n/* ; */ SELECT 'a;b' AS \"c;d\" ; ; -- end", "[c;d] [[a;b]]"},
		{"with t AS (SELECT 3 AS a) SELECT a FROM t", "[a] [[3]]"},
		{"VALUES (1), (2)", "[column1] [[1] [2]]"},
		{"SELECT [name] FROM experiment WHERE name = 'it''s; no'", "[] []"},
		{"PRAGMA user_version", "[user_version] [[4]]"},
		{"PRAGMA table_info(word);", ""},
		{"EXPLAIN QUERY PLAN SELECT * FROM experiments", ""},
		{"SELECT name, model, points, status FROM experiments", "[name model points status] [[x llama-3.1-8b 0 running]]"},
		{"SELECT * FROM facts", "[experiment key value source] [[1 gpu.model h100-sxm declared]]"},
	} {
		cols, rows, err := ask(t, n, c.query)
		if got := fmt.Sprint(cols, " ", rows); err != nil || (c.want != "" && got != c.want) {
			t.Errorf("%s\n%s, %v; want\n%s", c.query, got, err, c.want)
		}
	}
	for _, c := range []struct{ query, says string }{
		{"", "empty"},
		{" ; -- nothing", "empty"},
		{"DELETE FROM sample", "cannot begin with DELETE"},
		{"SELECT 1; DELETE FROM sample", "more than one statement"},
		{"SELECT 1 /* a */;/* b */ SELECT 2", "more than one statement"},
		{"WITH t AS (SELECT 1) DELETE FROM sample", "writes"},
		{"WITH t AS (SELECT 1) INSERT INTO word (text) SELECT 'x' RETURNING id", "writes"},
		{"ATTACH 'other.db' AS o", "cannot begin with ATTACH"},
		{"PRAGMA query_only = OFF", "not one that only tells"},
		{"PRAGMA user_version(7)", "not one that only tells"},
		{"PRAGMA main.user_version", "not one that only tells"},
		{"EXPLAIN PRAGMA query_only = OFF", "cannot be explained"},
		{"SELECT FORM x", "the query is wrong"},
		{"SELECT * FROM samplez", "no such table: samplez"},
		{"SELECT 'open", "the query is wrong"},
	} {
		_, _, err := ask(t, n, c.query)
		wantCode(t, err, Invalid, c.says)
	}
	stop := errors.New("enough")
	if err := n.Query(t.Context(), "VALUES (1), (2)", func([]string, []any) error { return stop }); err != stop {
		t.Errorf("%v, want what the caller said", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	err := n.Query(cancelled, "WITH RECURSIVE t(a) AS (VALUES (1) UNION ALL SELECT a + 1 FROM t) SELECT a FROM t", func(_ []string, row []any) error {
		if row[0] == int64(1000) {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("an endless query ends with %v", err)
	}
}

func TestSamplesView(t *testing.T) {
	n := fresh(t)
	w, p := start(t, n, "p")
	s := experiment.NewSample(0)
	s.Scheduled, s.Sent, s.FirstReasoning, s.FirstContent, s.LastContent = 1e6, 3e6, 13e6, 20e6, 113e6
	s.OutputTokens, s.Outcome, s.Class = 11, experiment.OK, "chat"
	s.PromptAsked, s.Replica, s.ModelAsked, s.Session, s.Turn, s.FirstLag, s.MaxLag = 500, 1, "lora-a", 3, 2, 50_000, 90_000
	failed := experiment.NewSample(1)
	failed.Scheduled, failed.Outcome, failed.Error = 1e6, experiment.Refused, "no such host"
	if err := errors.Join(w.AddSample("p", s), w.AddSample("p", failed), w.EndPoint(t.Context(), p), w.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	_, rows, err := ask(t, n, "SELECT seq, concurrency, class, phase, outcome, send_lag_ms, ttft_ms, e2e_ms, tpot_ms, error FROM samples ORDER BY seq")
	want := "[[0 4 chat measured ok 2 10 110 10 <nil>] [1 4 <nil> measured refused <nil> <nil> <nil> <nil> no such host]]"
	if got := fmt.Sprint(rows); err != nil || got != want {
		t.Errorf("%s, %v; want\n%s", got, err, want)
	}
	_, rows, err = ask(t, n, "SELECT rate, variant, session, turn, replica, model_asked, prompt_asked, first_lag_ms, ttft_sched_ms, e2e_sched_ms FROM samples ORDER BY seq")
	want = "[[<nil> <nil> 3 2 1 lora-a 500 0.05 12 112] [<nil> <nil> 0 0 0 <nil> <nil> <nil> <nil> <nil>]]"
	if got := fmt.Sprint(rows); err != nil || got != want {
		t.Errorf("%s, %v; want\n%s", got, err, want)
	}
}

// addedColumn is a column that a migration added: it stands on a line with others.
var addedColumn = regexp.MustCompile(`, [a-z_]+ (INTEGER|TEXT|REAL|BLOB)[^/,]*(/\*)?`)

// Everything in the file is described in the file, for whoever opens it without us.
func TestSchemaIsDocumented(t *testing.T) {
	n := fresh(t)
	_, rows, err := ask(t, n, "SELECT type, name, sql FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' AND name <> 'goose_db_version'")
	if err != nil || len(rows) < 15 {
		t.Fatalf("%d tables and views, %v", len(rows), err)
	}
	for _, row := range rows {
		kind, name, sql := row[0].(string), row[1].(string), row[2].(string)
		first, _, _ := strings.Cut(sql, "\n")
		if !strings.Contains(first, "-- ") {
			t.Errorf("%s %s says nothing about itself", kind, name)
		}
		if kind == "table" && !strings.Contains(sql, "STRICT") {
			t.Errorf("table %s is not STRICT", name)
		}
		if _, _, err := ask(t, n, "SELECT * FROM "+name); err != nil {
			t.Errorf("%s %s: %v", kind, name, err)
		}
		for _, column := range addedColumn.FindAllString(sql, -1) {
			if !strings.HasSuffix(column, "/*") {
				t.Errorf("table %s has the added column %q, which says nothing about itself", name, column)
			}
		}
	}
	_, rows, err = ask(t, n, "PRAGMA user_version")
	if err != nil || rows[0][0] != int64(embedded.version) {
		t.Errorf("the migrations end at %v, and the program knows %d", rows, embedded.version)
	}
}

// Whatever is asked, nothing is written and nothing panics.
func FuzzQuery(f *testing.F) {
	for _, q := range []string{"SELECT 1", "PRAGMA user_version", "WITH t AS (SELECT 1) SELECT * FROM t", "SELECT 'a", "EXPLAIN SELECT [x", "/*", "PRAGMA table_info(word)"} {
		f.Add(q)
	}
	n := fresh(f)
	f.Fuzz(func(t *testing.T, query string) {
		rows := 0
		enough := errors.New("enough")
		_ = n.Query(t.Context(), query, func([]string, []any) error {
			if rows++; rows > 100 {
				return enough
			}
			return nil
		})
		var queryOnly, words int
		if err := n.read.QueryRow("PRAGMA query_only").Scan(&queryOnly); err != nil || queryOnly != 1 {
			t.Fatalf("query_only is %d, %v", queryOnly, err)
		}
		if err := n.read.QueryRow("SELECT count(*) FROM word").Scan(&words); err != nil || words != 0 {
			t.Fatalf("%d words, %v", words, err)
		}
	})
}
