package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/experiment"
	"github.com/inferbook/inferbook/experiment/foreign"
)

// saveResults writes each point as the JSON of vllm bench serve, where that was asked for.
func (p *program) saveResults(c *cli.Context, s *session) error {
	if !c.Bool("save-result") && !c.Bool("save-detailed") {
		return nil
	}
	ctx := context.WithoutCancel(c.Context)
	points, err := s.nb.Points(ctx, s.exp.ID)
	if err != nil {
		return err
	}
	percentiles, err := savedPercentiles(c)
	if err != nil {
		return err
	}
	if dir := c.String("result-dir"); dir != "" {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return fmt.Errorf("saving the result: %w", err)
		}
	}
	for i, pt := range points {
		r := foreign.VLLMResult{Experiment: s.exp, Point: pt, Samples: s.nb.Samples(ctx, pt.ID), Detailed: c.Bool("save-detailed"),
			Percentiles: percentiles, Goodput: s.exp.Spec.SLO, Date: p.now()}
		name := c.String("result-filename")
		if name == "" {
			name = foreign.VLLMName(r)
		} else if len(points) > 1 {
			ext := filepath.Ext(name)
			name = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, ext), i, ext)
		}
		if err := p.saveResult(filepath.Join(c.String("result-dir"), name), r); err != nil {
			return err
		}
	}
	return nil
}

// checkSaving finds before a run what would keep its result from being saved after it.
func checkSaving(c *cli.Context, s *experiment.Spec) error {
	if !c.Bool("save-result") && !c.Bool("save-detailed") {
		for _, name := range []string{"result-dir", "result-filename", "metric-percentiles"} {
			if c.IsSet(name) {
				return usage("--%s says how to save a result, and none is saved; add --save-result", name)
			}
		}
		return nil
	}
	if !s.Stream && s.Endpoint != experiment.Embeddings {
		return usage("the file of vllm bench serve has the TTFT, which only a stream has; add --stream")
	}
	_, err := savedPercentiles(c)
	return err
}

func savedPercentiles(c *cli.Context) ([]float64, error) {
	var percentiles []float64
	for part := range strings.SplitSeq(c.String("metric-percentiles"), ",") {
		v, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil || !(v > 0 && v <= 100) {
			return nil, usage("--metric-percentiles has %q; write numbers over 0 to 100, such as 50,95,99", part)
		}
		percentiles = append(percentiles, v)
	}
	return percentiles, nil
}

func (p *program) saveResult(path string, r foreign.VLLMResult) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("saving the result: %w", err)
	}
	defer func() {
		if closeErr := f.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("saving the result: %w", closeErr)
		}
	}()
	if err := foreign.WriteVLLM(f, r); err != nil {
		return err
	}
	p.hint("saved     %s (%s)", path, r.Point.Load)
	return nil
}
