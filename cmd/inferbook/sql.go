package main

import (
	"encoding/csv"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"
)

func (p *program) sqlCommand() *cli.Command {
	return &cli.Command{
		Name: "sql", Usage: "ask the notebook in SQL; it cannot change anything",
		UsageText: examples("inferbook sql \"SELECT * FROM experiments\"",
			"inferbook sql \"SELECT concurrency, outcome, count(*), avg(ttft_ms) FROM samples WHERE experiment = 3 GROUP BY 1, 2\" --csv",
			"inferbook sql \"SELECT sql FROM sqlite_master WHERE name = 'sample'\"     the schema, with a comment a column"),
		Description: "Views to start from: experiments, points, samples, notes, facts.\nAny other program that reads SQLite may open the file too: sqlite3, Datasette, DuckDB, pandas.",
		Flags:       []cli.Flag{&cli.BoolFlag{Name: "csv", Usage: "print CSV"}, jsonFlag(), dbFlag()},
		Action:      p.sqlAction,
	}
}

func (p *program) sqlAction(c *cli.Context) error {
	if c.NArg() != 1 {
		return usage("sql needs one statement in quotes, such as \"SELECT * FROM experiments\"")
	}
	nb, err := p.look(c)
	if err != nil {
		return err
	}
	defer nb.Close()
	var columns []string
	var rows [][]any
	err = nb.Query(c.Context, c.Args().First(), func(cols []string, row []any) error {
		columns = slices.Clone(cols)
		rows = append(rows, slices.Clone(row))
		return nil
	})
	if err != nil {
		return err
	}
	switch {
	case c.Bool("json"):
		list := make([]map[string]any, 0, len(rows))
		for _, r := range rows {
			m := map[string]any{}
			for i, v := range r {
				m[columns[i]] = v
			}
			list = append(list, m)
		}
		return printJSON(p.out, struct {
			document
			Rows []map[string]any `json:"rows"`
		}{document{"inferbook.sql/1"}, list})
	case c.Bool("csv"):
		w := csv.NewWriter(p.out)
		lines := [][]string{columns}
		for _, r := range rows {
			lines = append(lines, cells(r))
		}
		return w.WriteAll(lines)
	}
	t := newTable(p.out, anys(columns)...)
	for _, r := range rows {
		t.AppendRow(anys(cells(r)))
	}
	t.Render()
	return nil
}

// cells writes a row's values as text; a blob by its length, NULL as nothing.
func cells(row []any) []string {
	out := make([]string, len(row))
	for i, v := range row {
		switch v := v.(type) {
		case nil:
		case []byte:
			out[i] = fmt.Sprintf("(%d bytes)", len(v))
		default:
			out[i] = fmt.Sprint(v)
		}
	}
	return out
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}
