package sim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Status is how far a deployment's times may be trusted.
type Status string

const (
	// Fitted: constants were fitted to runs of this runtime, generation of GPUs and
	// family of models.
	Fitted Status = "fitted"
	// Checked: measured runs were held against it. Nothing was fitted to them, though a
	// constant may have been chosen with them in sight.
	Checked Status = "checked"
	// Uncalibrated: nothing was.
	Uncalibrated Status = "uncalibrated"
)

// Scope says which deployments a fit or a check is about. A field that is empty
// leaves all in.
type Scope struct {
	Runtime    string   `json:"runtime" yaml:"runtime"`
	GPU        string   `json:"gpu,omitempty" yaml:"gpu"`
	Generation string   `json:"generation,omitempty" yaml:"generation"`
	Families   []string `json:"families,omitempty" yaml:"families"`
	Models     []string `json:"models,omitempty" yaml:"models"`
	Precisions []string `json:"precisions,omitempty" yaml:"precisions"`
	Counts     []int    `json:"counts,omitempty" yaml:"counts"`
}

// Fit is a set of constants fitted to runs.
type Fit struct {
	Name      string    `json:"name" yaml:"name"`
	For       Scope     `json:"for" yaml:"for"`
	Constants Constants `json:"constants" yaml:"constants"`
	// Memory and Compute stand in for the GPU's shares of bandwidth and peak in
	// matrix products of the fit's precision; 0 = the GPU's own.
	Memory  float64 `json:"memory,omitempty" yaml:"memory"`
	Compute float64 `json:"compute,omitempty" yaml:"compute"`
	Basis   string  `json:"basis" yaml:"basis"` // the runs that it was fitted to
	Source  string  `json:"source" yaml:"source"`
}

// Check is what was found when simulated runs were held against measured ones.
type Check struct {
	For    Scope  `json:"for" yaml:"for"`
	Status Status `json:"status" yaml:"status"`
	// TPOT and TTFT are mean absolute errors of the time per output token and of the
	// time to first token, as shares; TPOT90 is what nine rows in ten stay within,
	// Throughput the mean absolute error of output tokens a second. 0 = not known.
	TPOT       float64 `json:"tpot,omitempty" yaml:"tpot"`
	TPOT90     float64 `json:"tpot_p90,omitempty" yaml:"tpot_p90"`
	TTFT       float64 `json:"ttft,omitempty" yaml:"ttft"`
	Throughput float64 `json:"throughput,omitempty" yaml:"throughput"`
	Rows       int     `json:"rows" yaml:"rows"`
	// Simulated says that the rows are of a simulated engine themselves, so that the
	// errors say nothing of a real one.
	Simulated bool   `json:"simulated,omitempty" yaml:"simulated"`
	Basis     string `json:"basis" yaml:"basis"` // the runs
	Source    string `json:"source" yaml:"source"`
}

// matches gives how many fields of the scope a deployment meets, and false where it
// does not meet one.
func (s Scope) matches(d *Deployment) (int, bool) {
	n := 0
	for _, f := range []struct {
		asked bool
		met   bool
	}{
		{s.Runtime != "", s.Runtime == d.Runtime.Name},
		{s.GPU != "", s.GPU == d.GPU.Name},
		{s.Generation != "", s.Generation == d.GPU.Generation},
		{len(s.Families) > 0, slices.Contains(s.Families, d.Model.Family)},
		{len(s.Models) > 0, slices.Contains(s.Models, d.Model.Name)},
		{len(s.Precisions) > 0, slices.Contains(s.Precisions, d.Precision)},
		{len(s.Counts) > 0, slices.Contains(s.Counts, d.Count)},
	} {
		if f.asked {
			if !f.met {
				return 0, false
			}
			n++
		}
	}
	return n, true
}

func (s Scope) check(c *Catalogue) error {
	if _, err := c.runtime(s.Runtime); err != nil {
		return err
	}
	if s.GPU != "" {
		if _, err := c.gpu(s.GPU); err != nil {
			return err
		}
	}
	for _, m := range s.Models {
		if _, err := c.model(m); err != nil {
			return err
		}
	}
	return nil
}

func (f Fit) check(c *Catalogue) error {
	if f.Name == "" || f.Basis == "" || f.Source == "" {
		return errors.New("it needs a name, a basis and a source")
	}
	if f.Memory < 0 || f.Memory > 1 || f.Compute < 0 || f.Compute > 1 {
		return errors.New("memory and compute are shares from 0 to 1")
	}
	return errors.Join(f.Constants.check(), f.For.check(c))
}

func (k Check) check(c *Catalogue) error {
	switch {
	case k.Status != Fitted && k.Status != Checked:
		return fmt.Errorf("status is %q; it is %s or %s", k.Status, Fitted, Checked)
	case k.Rows < 1 || k.Basis == "" || k.Source == "":
		return errors.New("it needs rows, a basis and a source")
	case k.TPOT <= 0 && k.Throughput <= 0:
		return errors.New("it needs the error of tpot or of throughput")
	}
	return k.For.check(c)
}

// best gives the row whose scope says most about a deployment, the first of several.
func best[T any](rows []T, scope func(T) Scope, d *Deployment) (T, bool) {
	var found T
	most := -1
	for _, r := range rows {
		if n, ok := scope(r).matches(d); ok && n > most {
			found, most = r, n
		}
	}
	return found, most >= 0
}

// fitOf gives the fit for a deployment, the person's own before the built-in ones.
func (c *Catalogue) fitOf(d *Deployment) (f Fit, own, ok bool) {
	scope := func(f Fit) Scope { return f.For }
	if f, ok = best(c.own.Fits, scope, d); ok {
		return f, true, true
	}
	f, ok = best(c.Fits, scope, d)
	return f, false, ok
}

// fits reports whether any constants were fitted for the deployment.
func (d *Deployment) fits(c *Catalogue) bool {
	_, _, ok := c.fitOf(d)
	return ok
}

// fit gives the deployment the constants that were fitted for it, if any were.
func (d *Deployment) fit(c *Catalogue) {
	f, _, ok := c.fitOf(d)
	if !ok {
		return
	}
	d.Fit = f.Name
	d.Runtime.setConstants(f.Constants)
	d.Runtime.Sources = maps.Clone(d.Runtime.Sources)
	maps.DeleteFunc(d.Runtime.Sources, func(figure, _ string) bool { return strings.HasSuffix(figure, "_us") })
	d.Runtime.Sources["constants"] = fmt.Sprintf("the fit %s: %s (%s)", f.Name, f.Basis, f.Source)
	d.setShares(f.Memory, f.Compute)
}

// trust says how far the deployment's times may be trusted. A band of the built-in
// catalogue was found with its rows: where one of them is a person's own, only the person's own
// bands count.
func (d *Deployment) trust(c *Catalogue) Check {
	if d.Count > 1 && !d.link.measured() || d.Speculation.Tokens > 0 {
		return Check{Status: Uncalibrated}
	}
	scope := func(k Check) Scope { return k.For }
	if k, ok := best(c.own.Checks, scope, d); ok {
		return k
	}
	k, ok := best(c.Checks, scope, d)
	_, ownFit, _ := c.fitOf(d)
	if !ok || ownFit || c.own.has(d) {
		return Check{Status: Uncalibrated}
	}
	return k
}

// has reports whether the deployment is made of a row of this catalogue.
func (o *Catalogue) has(d *Deployment) bool {
	return slices.ContainsFunc(o.GPUs, func(g GPU) bool { return g.Name == d.GPU.Name }) ||
		slices.ContainsFunc(o.Models, func(m Model) bool { return m.Name == d.Model.Name }) ||
		slices.ContainsFunc(o.Runtimes, func(r Runtime) bool { return r.Name == d.Runtime.Name }) ||
		d.Count > 1 && slices.ContainsFunc(o.Links, func(l Link) bool { return l.Name == d.GPU.Link })
}

// String is the label that goes with every figure: how far to trust it, and why.
func (k Check) String() string {
	if k.Status == Uncalibrated || k.Status == "" {
		return string(Uncalibrated) + ": no measured run was held against this runtime, GPU and model; take ranking and order of magnitude only"
	}
	percent := func(v float64) string { return fmt.Sprintf("±%.2g %%", 100*v) }
	var says []string
	if k.TPOT > 0 {
		s := "time per token " + percent(k.TPOT) + " on average"
		if k.TPOT90 > 0 {
			s += ", 9 in 10 within " + percent(k.TPOT90)
		}
		says = append(says, s)
	}
	if k.TTFT > 0 {
		says = append(says, "TTFT "+percent(k.TTFT))
	}
	if k.Throughput > 0 {
		says = append(says, "throughput "+percent(k.Throughput))
	}
	rows := fmt.Sprintf("%d measured rows", k.Rows)
	switch {
	case k.Simulated:
		rows = fmt.Sprintf("%d rows that were SIMULATED themselves", k.Rows)
	case k.Rows == 1:
		rows = "one measured row"
	}
	return fmt.Sprintf("%s: %s of %s (%s)", k.Status, strings.Join(says, "; "), rows, k.Basis)
}

// label is the calibration of a deployment in words.
func (d *Deployment) label() string {
	switch {
	case d.Trust.Status != Uncalibrated:
		return d.Trust.String()
	case d.Speculation.Tokens > 0:
		return string(Uncalibrated) + ": the acceptance of drafts is an assumption"
	case d.Count > 1 && !d.link.measured():
		return string(Uncalibrated) + ": all-reduce over " + d.GPU.Link + " is a guess"
	}
	return d.Trust.String()
}
