package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/mattn/go-sqlite3"
)

// Query runs one reading statement of a person and calls each for every row, with
// the names of the columns; with no row, each is not called. A value is nil, int64,
// float64, string, []byte, or for a column declared as a time a [time.Time]. Both
// slices are good until each returns. The statement is a SELECT, WITH, VALUES or
// EXPLAIN, or a PRAGMA that only tells; anything else is [Invalid]. Nothing in the
// file changes whatever the statement says: the connection itself is read-only.
func (n *Notebook) Query(ctx context.Context, query string, each func(cols []string, row []any) error) error {
	query, err := onlyStatement(query)
	if err != nil {
		return err
	}
	conn, err := n.read.Conn(ctx)
	if err != nil {
		return n.fault("running a query", err)
	}
	defer conn.Close()
	if err := conn.Raw(func(driver any) error { return checkReads(driver.(*sqlite3.SQLiteConn), query) }); err != nil {
		return n.faultOfQuery(err)
	}
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return n.faultOfQuery(err)
	}
	defer rows.Close()
	return n.eachRow(rows, each)
}

func (n *Notebook) eachRow(rows *sql.Rows, each func(cols []string, row []any) error) error {
	cols, err := rows.Columns()
	if err != nil {
		return n.faultOfQuery(err)
	}
	row, dest := make([]any, len(cols)), make([]any, len(cols))
	for i := range row {
		dest[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return n.faultOfQuery(err)
		}
		if err := each(cols, row); err != nil {
			return err
		}
	}
	return n.faultOfQuery(rows.Err())
}

// faultOfQuery tells what is wrong with the statement from what is wrong with the file.
func (n *Notebook) faultOfQuery(err error) error {
	if lite, ok := err.(sqlite3.Error); ok && (lite.Code == sqlite3.ErrError || lite.Code == sqlite3.ErrMismatch) {
		return &Error{Code: Invalid, Msg: "the query is wrong: " + lite.Error(),
			Hint: `the tables and views are in "SELECT name, sql FROM sqlite_schema"`, cause: err}
	}
	return n.fault("running a query", err)
}

// checkReads asks SQLite itself whether the statement writes.
func checkReads(conn *sqlite3.SQLiteConn, query string) error {
	s, err := conn.Prepare(query)
	if err != nil {
		return err
	}
	defer s.Close()
	if !s.(*sqlite3.SQLiteStmt).Readonly() {
		return invalid("only reading is allowed here", "the query writes")
	}
	return nil
}

// Pragmas that only tell, without an argument and with one.
var (
	barePragmas = []string{"application_id", "collation_list", "compile_options", "data_version", "database_list", "encoding",
		"foreign_key_check", "freelist_count", "function_list", "integrity_check", "journal_mode", "module_list", "page_count",
		"page_size", "pragma_list", "quick_check", "schema_version", "table_list", "user_version"}
	askingPragmas = []string{"foreign_key_check", "foreign_key_list", "index_info", "index_list", "index_xinfo", "integrity_check",
		"quick_check", "table_info", "table_list", "table_xinfo"}
)

// onlyStatement gives the statement without what follows its semicolon, and refuses
// anything but one statement that begins as one that reads.
func onlyStatement(query string) (string, error) {
	const hint = "write one SELECT, WITH, VALUES, EXPLAIN or a PRAGMA that only tells"
	tokens, places := tokenize(query)
	if end := slices.Index(tokens, ";"); end >= 0 {
		for _, t := range tokens[end:] {
			if t != ";" {
				return "", invalid(hint, "the query has more than one statement")
			}
		}
		query, tokens = query[:places[end]], tokens[:end]
	}
	if len(tokens) == 0 {
		return "", invalid(hint, "the query is empty")
	}
	switch first := strings.ToUpper(tokens[0]); first {
	case "SELECT", "WITH", "VALUES":
	case "EXPLAIN":
		// Some pragmas act while they are compiled, so that explaining one carries it out.
		if slices.ContainsFunc(tokens, func(t string) bool { return strings.EqualFold(t, "PRAGMA") }) {
			return "", invalid(hint, "a PRAGMA cannot be explained here")
		}
	case "PRAGMA":
		if !tells(tokens[1:]) {
			return "", invalid(hint, "PRAGMA %s is not one that only tells", strings.Join(tokens[1:], " "))
		}
	default:
		return "", invalid(hint, "a query cannot begin with %s", first)
	}
	return query, nil
}

// tells reports whether what follows PRAGMA is "name" or "name ( argument )" of one that only tells.
func tells(tokens []string) bool {
	switch {
	case len(tokens) == 1:
		return slices.Contains(barePragmas, strings.ToLower(tokens[0]))
	case len(tokens) == 4 && tokens[1] == "(" && tokens[3] == ")":
		return slices.Contains(askingPragmas, strings.ToLower(tokens[0]))
	}
	return false
}

// tokenize splits SQL into words, quoted strings and single other characters,
// without blanks and comments, and the place of each. A quote or comment that does
// not end goes to the end, as SQLite reads it.
func tokenize(query string) (tokens []string, places []int) {
	until := func(from int, end string) int {
		if i := strings.Index(query[from:], end); i >= 0 {
			return from + i + len(end)
		}
		return len(query)
	}
	for i := 0; i < len(query); {
		start := i
		switch c := query[i]; {
		case strings.ContainsRune(" \t\r\n\f", rune(c)):
			i++
			continue
		case strings.HasPrefix(query[i:], "--"):
			i = until(i, "\n")
			continue
		case strings.HasPrefix(query[i:], "/*"):
			i = until(i+2, "*/")
			continue
		case c == '\'' || c == '"' || c == '`':
			// A doubled quote reads as two strings side by side, which splits at no ';'.
			i = until(i+1, string(c))
		case c == '[':
			i = until(i+1, "]")
		case wordByte(c):
			for i < len(query) && wordByte(query[i]) {
				i++
			}
		default:
			i++
		}
		tokens, places = append(tokens, query[start:i]), append(places, start)
	}
	return tokens, places
}

func wordByte(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
