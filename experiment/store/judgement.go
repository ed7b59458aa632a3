package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// AddExpectation records what the person expects of an experiment of the notebook, and
// fills in ID and Created where they are open. An empty text, and a confidence that is not between
// 0 and 1, are [Invalid].
func (n *Notebook) AddExpectation(ctx context.Context, x *experiment.Expectation) error {
	if strings.TrimSpace(x.Text) == "" || x.Confidence < 0 || x.Confidence >= 1 {
		return invalid("write one such as ttft.p95<300ms, with a confidence over 0 % and under 100 %, or none", "the expectation %q cannot be recorded", x.Text)
	}
	made := *x
	n.stamp(&made.ID, &made.Created)
	err := n.update(ctx, "recording an expectation", func(tx *sql.Tx) error {
		var sure any
		if made.Confidence > 0 {
			sure = made.Confidence
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO expectation (id, experiment_id, text, confidence, created_ns) VALUES (?,?,?,?,?)",
			made.ID, made.ExperimentID, made.Text, sure, made.Created.UnixNano())
		return err
	})
	if err == nil {
		*x = made
	}
	return err
}

// stamp gives a new row its identity and its time, where they are open.
func (n *Notebook) stamp(id *string, created *time.Time) {
	if *id == "" {
		*id = n.ids.New()
	}
	if created.IsZero() {
		*created = n.now()
	}
}

// Expectations gives those of an experiment, or with "" of all experiments that are not
// in the trash, oldest first.
func (n *Notebook) Expectations(ctx context.Context, experimentID string) ([]experiment.Expectation, error) {
	var out []experiment.Expectation
	err := n.each(ctx, `SELECT x.id, x.experiment_id, x.text, coalesce(x.confidence, 0), x.created_ns
		FROM expectation x JOIN experiment e ON e.id = x.experiment_id
		WHERE x.experiment_id = ?1 OR ?1 = '' AND e.deleted_ns IS NULL ORDER BY x.created_ns, x.id`,
		func(scan func(...any) error) error {
			var x experiment.Expectation
			var created int64
			err := scan(&x.ID, &x.ExperimentID, &x.Text, &x.Confidence, &created)
			x.Created = time.Unix(0, created).UTC()
			out = append(out, x)
			return err
		}, experimentID)
	return out, n.fault("reading expectations", err)
}

// AddRuleSetting records what the person changed about a rule, and fills in ID and
// Created where they are open. A setting without a rule is [Invalid].
func (n *Notebook) AddRuleSetting(ctx context.Context, s *experiment.RuleSetting) error {
	if strings.TrimSpace(s.Rule) == "" {
		return invalid("name the rule, such as I25", "the setting has no rule")
	}
	made := *s
	n.stamp(&made.ID, &made.Created)
	var value any = made.Value
	switch {
	case made.Reset:
		value = nil
	case made.Threshold == "":
		value = made.Muted
	}
	err := n.update(ctx, "recording a rule's setting", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO rule_setting (id, rule, threshold, value, why, created_ns) VALUES (?,?,?,?,?,?)",
			made.ID, made.Rule, made.Threshold, value, made.Why, made.Created.UnixNano())
		return err
	})
	if err == nil {
		*s = made
	}
	return err
}

// RuleSettings gives every setting ever made, oldest first, so that of several for
// one rule and threshold the last counts.
func (n *Notebook) RuleSettings(ctx context.Context) ([]experiment.RuleSetting, error) {
	var out []experiment.RuleSetting
	err := n.each(ctx, "SELECT id, rule, threshold, value, why, created_ns FROM rule_setting ORDER BY created_ns, id",
		func(scan func(...any) error) error {
			var s experiment.RuleSetting
			var value sql.NullFloat64
			var created int64
			err := scan(&s.ID, &s.Rule, &s.Threshold, &value, &s.Why, &created)
			s.Created, s.Reset = time.Unix(0, created).UTC(), !value.Valid
			if s.Threshold == "" {
				s.Muted = value.Float64 != 0
			} else {
				s.Value = value.Float64
			}
			out = append(out, s)
			return err
		})
	return out, n.fault("reading the settings of rules", err)
}

// AddNoise records how far runs of one configuration lie apart, and fills in ID and
// Created where they are open.
func (n *Notebook) AddNoise(ctx context.Context, x *experiment.Noise) error {
	if x.Metric == "" || !(x.Floor >= 0) || x.Runs < 2 {
		return invalid("give a metric, a floor of 0 or more, and at least two runs", "the noise floor of %q cannot be recorded", x.Metric)
	}
	made := *x
	n.stamp(&made.ID, &made.Created)
	list, err := json.Marshal(made.Experiments)
	if err != nil {
		return err
	}
	err = n.update(ctx, "recording a noise floor", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO noise (id, host, config, metric, floor, runs, experiments, created_ns) VALUES (?,?,?,?,?,?,?,?)",
			made.ID, made.Host, made.Config, made.Metric, made.Floor, made.Runs, string(list), made.Created.UnixNano())
		return err
	})
	if err == nil {
		*x = made
	}
	return err
}

// Noise gives the noise floors of a host and configuration, or with two empty texts all,
// oldest first, so that of several for one metric the last counts.
func (n *Notebook) Noise(ctx context.Context, host, config string) ([]experiment.Noise, error) {
	var out []experiment.Noise
	err := n.each(ctx, `SELECT id, host, config, metric, floor, runs, experiments, created_ns FROM noise
		WHERE ?1 = '' AND ?2 = '' OR host = ?1 AND config = ?2 ORDER BY created_ns, id`,
		func(scan func(...any) error) error {
			var x experiment.Noise
			var list string
			var created int64
			if err := scan(&x.ID, &x.Host, &x.Config, &x.Metric, &x.Floor, &x.Runs, &list, &created); err != nil {
				return err
			}
			x.Created = time.Unix(0, created).UTC()
			out = append(out, x)
			return json.Unmarshal([]byte(list), &out[len(out)-1].Experiments)
		}, host, config)
	return out, n.fault("reading noise floors", err)
}

// each runs a query and calls row for each of its rows.
func (n *Notebook) each(ctx context.Context, query string, row func(scan func(...any) error) error, args ...any) error {
	rows, err := n.read.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
