package sentence

import (
	"math"
	"testing"
	"time"
)

func TestNumbers(t *testing.T) {
	for _, row := range []struct{ got, want string }{
		{Short(0.012345), "0.0123"}, {Short(12.345), "12.3"}, {Short(99.96), "100"}, {Short(123.4), "123"},
		{Short(1234.5), "1,234"}, {Short(-1234567), "−1,234,567"}, {Short(math.Inf(1)), "+Inf"},
		{Percent(0.0251), "2.51 %"}, {Seconds(1500 * time.Millisecond), "1.5 s"},
		{Plural(1, "request"), "1 request"}, {Plural(0, "request"), "0 requests"},
	} {
		if row.got != row.want {
			t.Errorf("%q, want %q", row.got, row.want)
		}
	}
}
