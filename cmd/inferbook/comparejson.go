package main

import (
	"github.com/inferbook/inferbook/analysis"
	"github.com/inferbook/inferbook/analysis/compare"
)

// gridJSON is what `compare --json` prints. What is not known is null.
type gridJSON struct {
	document
	RowKeys []string              `json:"row_keys"`
	ColKeys []string              `json:"col_keys"`
	Rows    [][]string            `json:"rows"` // the values of the keys, in the order of the keys
	Cols    [][]string            `json:"cols"` // the first is the baseline
	Figures []gridFigure          `json:"figures"`
	Within  bool                  `json:"within_one_run"` // some comparison is of one run each
	Unequal []compare.UnequalPair `json:"unequal"`
	Notes   []string              `json:"notes"`
	// Corrected is the most comparisons that p is corrected for: those of one row.
	Corrected int `json:"corrected_for"`
}

type gridFigure struct {
	Metric     string             `json:"metric"`
	Definition string             `json:"definition"`
	Unit       string             `json:"unit"`
	Direction  analysis.Direction `json:"better_is"`
	Cells      [][]gridCell       `json:"cells"`   // by row and column
	Geomean    []gridMean         `json:"geomean"` // by column, over the rows that all columns have
	MeanRows   int                `json:"geomean_rows"`
}

type gridCell struct {
	Value *float64 `json:"value"` // the median over the repeats; null = blank
	N     int      `json:"n"`     // repeats
	// Against compares it with the first column; null there and beside a blank.
	Against *compare.Row `json:"against_baseline"`
}

type gridMean struct {
	Value *float64 `json:"value"`
	Ratio *float64 `json:"ratio"` // to the first column
}

func newGridJSON(g *compare.Grid) gridJSON {
	j := gridJSON{document: document{"inferbook.compare/1"}, RowKeys: g.RowKeys, ColKeys: g.ColKeys, Rows: g.Rows, Cols: g.Cols,
		Figures: []gridFigure{}, Within: g.Within, Unequal: orEmpty(g.Unequal), Notes: orEmpty(g.Notes), Corrected: g.Corrected}
	for _, t := range g.Tables {
		f := gridFigure{Metric: t.Figure.String(), Definition: t.Figure.Metric.ID(), Unit: t.Figure.Metric.Unit, Direction: t.Figure.Metric.Direction, MeanRows: t.MeanRows}
		for _, cells := range t.Cells {
			row := []gridCell{}
			for _, c := range cells {
				row = append(row, gridCell{knownOrNil(c.Value), c.N, c.Row})
			}
			f.Cells = append(f.Cells, row)
		}
		for _, m := range t.Geomean {
			f.Geomean = append(f.Geomean, gridMean{knownOrNil(m.Value), knownOrNil(m.Ratio)})
		}
		j.Figures = append(j.Figures, f)
	}
	return j
}
