package store

import (
	"context"
	"database/sql"
	"math"
	"strings"
	"time"

	"github.com/inferbook/inferbook/experiment"
)

// AddPrice records what an hour of a GPU costs, and fills in ID and Created where
// they are open. Of the date only the day is kept. A price that is not above 0, or
// has no hardware, date or source, is [Invalid]: an unknown price is an error, never 0.
func (n *Notebook) AddPrice(ctx context.Context, p *experiment.Price) error {
	switch {
	case strings.TrimSpace(p.Hardware) == "":
		return invalid(`name it as the fact gpu.model does, such as "h100-sxm"`, "the price has no hardware")
	case !(p.USDHour > 0) || math.IsInf(p.USDHour, 0):
		return invalid("write US dollars per GPU and hour, above 0", "the price of %s is %g", p.Hardware, p.USDHour)
	case p.Date.IsZero():
		return invalid("say on which day it was true", "the price of %s has no date", p.Hardware)
	case strings.TrimSpace(p.Source) == "":
		return invalid("say where it was seen: an invoice, a URL, a quote", "the price of %s has no source", p.Hardware)
	}
	made := *p
	if made.ID == "" {
		made.ID = n.ids.New()
	}
	if made.Created.IsZero() {
		made.Created = n.now()
	}
	day := made.Date.Format(time.DateOnly)
	made.Date, _ = time.Parse(time.DateOnly, day)
	err := n.update(ctx, "recording a price", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO price (id, hardware, usd_hour, date, source, created_ns) VALUES (?,?,?,?,?,?)",
			made.ID, made.Hardware, made.USDHour, day, made.Source, made.Created.UnixNano())
		if taken(err) {
			return &Error{Code: Conflict, Msg: "the price " + made.ID + " is in the notebook already"}
		}
		return err
	})
	if err == nil {
		*p = made
	}
	return err
}

// Prices gives the prices of one kind of hardware, or with "" of all, the newest date first.
func (n *Notebook) Prices(ctx context.Context, hardware string) ([]experiment.Price, error) {
	prices, err := n.prices(ctx, hardware)
	return prices, n.fault("reading prices", err)
}

func (n *Notebook) prices(ctx context.Context, hardware string) ([]experiment.Price, error) {
	rows, err := n.read.QueryContext(ctx, `SELECT id, hardware, usd_hour, date, source, created_ns FROM price
		WHERE ?1 = '' OR hardware = ?1 ORDER BY date DESC, created_ns DESC, id DESC`, hardware)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var prices []experiment.Price
	for rows.Next() {
		var p experiment.Price
		var day string
		var created int64
		if err := rows.Scan(&p.ID, &p.Hardware, &p.USDHour, &day, &p.Source, &created); err != nil {
			return nil, err
		}
		if p.Date, err = time.Parse(time.DateOnly, day); err != nil {
			return nil, err
		}
		p.Created = time.Unix(0, created).UTC()
		prices = append(prices, p)
	}
	return prices, rows.Err()
}
