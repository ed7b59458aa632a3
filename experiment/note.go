package experiment

import "time"

// Note is what the person wrote about an experiment or one of its points.
type Note struct {
	ID           string    `json:"id"`     // ULID
	Number       int       `json:"number"` // alias note-Number
	ExperimentID string    `json:"experiment_id"`
	PointID      string    `json:"point_id,omitempty"` // empty = about the whole experiment
	Text         string    `json:"text"`               // Markdown
	Readings     []string  `json:"readings,omitempty"` // slugs
	Created      time.Time `json:"created"`
}

// ReadingStatus is how far the person has come with a reading.
type ReadingStatus string

// A reading goes from unread to tested: tested means that an experiment has
// been linked to it and the person says that it settles the matter.
const (
	Unread  ReadingStatus = "unread"
	Reading ReadingStatus = "reading"
	Read    ReadingStatus = "read"
	Tested  ReadingStatus = "tested"
)

// ReadingEntry is one entry of the reading list as the notebook keeps it.
type ReadingEntry struct {
	Slug    string        `json:"slug"`
	Title   string        `json:"title"`
	URL     string        `json:"url"`
	Kind    string        `json:"kind"`    // article, paper, repository, course, index, path
	Section string        `json:"section"` // the list's own section title
	Order   int           `json:"order"`   // position in the list, from 1
	Status  ReadingStatus `json:"status"`
	Body    string        `json:"body,omitempty"` // Markdown without its front matter
}

// Price is a dated, sourced record of what an hour of one GPU (or device) costs. It is
// never guessed: an experiment without one has no cost.
type Price struct {
	ID       string  `json:"id"`
	Hardware string  `json:"hardware"` // as in the fact gpu.model, such as "h100-sxm"
	USDHour  float64 `json:"usd_per_gpu_hour"`
	// Date is the day on which the price was true.
	Date time.Time `json:"date"`
	// Source says where it was seen: an invoice, a URL, a quote.
	Source  string    `json:"source"`
	Created time.Time `json:"created"`
}
