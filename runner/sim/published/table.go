package published

import "fmt"

// Figure is a published figure beside the simulated one, without any fit and with the
// constants that the catalogue chooses.
type Figure struct {
	Comparison
	Unfitted float64
}

// Group is what is said of one group of sets and one metric.
type Group struct {
	Name, Metric, Use string
	Errors
	// Before is the error without any fit.
	Before Errors
	Bar    Bar
}

// Table holds every published figure against the simulated engine. It takes seconds.
func Table() ([]Figure, error) {
	all, err := Sets()
	if err != nil {
		return nil, err
	}
	var out []Figure
	for i := range all {
		s := &all[i]
		plain := s.Config()
		plain.Unfitted = true
		for _, row := range s.Rows {
			fitted, err := s.Simulate(s.Config(), row.C)
			if err != nil {
				return nil, err
			}
			before, err := s.Simulate(plain, row.C)
			if err != nil {
				return nil, err
			}
			unfitted := s.Compare(row, before)
			for k, c := range s.Compare(row, fitted) {
				out = append(out, Figure{c, unfitted[k].Simulated})
			}
		}
	}
	return out, nil
}

// Groups sums up a table by group and metric, in its order.
func Groups(table []Figure) []Group {
	var out []Group
	with, without := map[string][]Comparison{}, map[string][]Comparison{}
	for _, f := range table {
		key := f.Set.Group + "\x00" + f.Metric
		if with[key] == nil {
			out = append(out, Group{Name: f.Set.Group, Metric: f.Metric, Use: f.Set.Use, Bar: f.Set.Bar})
		}
		with[key] = append(with[key], f.Comparison)
		before := f.Comparison
		before.Simulated = f.Unfitted
		without[key] = append(without[key], before)
	}
	for i := range out {
		key := out[i].Name + "\x00" + out[i].Metric
		out[i].Errors, out[i].Before = Sum(with[key]), Sum(without[key])
	}
	return out
}

// Misses says where a group's error is larger than its bar.
func (g Group) Misses() []string {
	var out []string
	over := func(what string, is, bar float64) {
		if bar > 0 && is > bar {
			out = append(out, fmt.Sprintf("%s, %s: the %s error is %.1f %%, over its bar of %.1f %%", g.Name, g.Metric, what, 100*is, 100*bar))
		}
	}
	switch g.Metric {
	case "TPOT ms":
		over("mean", g.Mean, g.Bar.TPOT)
		over("90 % quantile of the", g.Ninetieth, g.Bar.TPOT90)
	case "TTFT ms":
		over("mean", g.Mean, g.Bar.TTFT)
	}
	return out
}
