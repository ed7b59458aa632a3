package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/inferbook/inferbook/runner/sim"
)

// simProfile prints a deployment as it would be simulated: each figure of it, by the
// names that it has in JSON.
func (p *program) simProfile(c *cli.Context) error {
	cfg, err := p.simConfig(c)
	if err != nil {
		return err
	}
	if c.Bool("rows") {
		return p.printRows(cfg)
	}
	d, err := cfg.Resolve()
	if err != nil {
		return usage("%w", err)
	}
	if c.Bool("json") {
		return printJSON(p.out, struct {
			document
			Profile    string         `json:"profile"`
			Deployment sim.Deployment `json:"deployment"`
		}{document{"inferbook.sim-profile/1"}, d.Profile(), d})
	}
	rows, err := figures(d)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s\n%s\n\n", p.bold(d.Profile()), d)
	t := newTable(p.out, "figure", "value")
	for _, r := range rows {
		t.AppendRow([]any{r.name, r.value})
	}
	t.Render()
	fmt.Fprintf(p.out, "\nHow far it may be trusted: %s\n", d.Calibration)
	return nil
}

// profileFigure is one leaf of a JSON document, by its path.
type profileFigure struct{ name, value string }

// figures walks a value's JSON in its own order.
func figures(v any) ([]profileFigure, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("reading the deployment: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var out []profileFigure
	err = walk(dec, "", func(name, value string) { out = append(out, profileFigure{name, value}) })
	return out, err
}

// walk takes one JSON value and gives its leaves.
func walk(dec *json.Decoder, path string, leaf func(name, value string)) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	delim, nested := token.(json.Delim)
	if !nested {
		if text := plainValue(path, token); text != "" { // what is empty says nothing
			leaf(path, text)
		}
		return nil
	}
	for i := 0; dec.More(); i++ {
		name := strconv.Itoa(i)
		if delim == '{' {
			key, err := dec.Token()
			if err != nil {
				return err
			}
			name = fmt.Sprint(key)
		}
		if path != "" {
			name = path + "." + name
		}
		if err := walk(dec, name, leaf); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

// plainValue writes a leaf as a person reads it: whole numbers with their
// thousands, and nanoseconds as a time.
func plainValue(path string, token json.Token) string {
	n, ok := token.(json.Number)
	if !ok {
		return fmt.Sprint(token)
	}
	whole, err := n.Int64()
	switch {
	case err != nil:
		return n.String()
	case strings.HasSuffix(path, "_ns"):
		return ms(float64(whole) / 1e6)
	}
	return thousands(whole)
}
