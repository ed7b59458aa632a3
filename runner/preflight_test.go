package runner

import (
	"strings"
	"testing"
)

func TestPorts(t *testing.T) {
	one, two := []string{"a:1"}, []string{"a:1", "b:1"}
	for _, row := range []struct {
		name      string
		conns     int
		addresses []string
		want      string // part of the error; empty = none
	}{
		{"few", 10, one, ""},
		{"all there are", 28232, one, ""},
		{"one more", 28233, one, `run: sysctl -w net.ipv4.ip_local_port_range="1024 65535"`},
		{"one more, over two servers", 28233, two, ""},
		{"more than there can be", 70000, one, "at least 2 addresses"},
		{"the same over two servers", 70000, two, "35000 connections to a:1 are more than the 28232 ports (32768 to 60999)"},
	} {
		err := checkPorts(row.conns, row.addresses, 32768, 60999)
		switch {
		case row.want == "" && err != nil:
			t.Errorf("%s: %v", row.name, err)
		case row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)):
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

func TestPreflight(t *testing.T) {
	if err := Preflight(1, []string{"127.0.0.1:8000"}); err != nil {
		t.Error(err)
	}
	if err := Preflight(1, nil); err != nil {
		t.Error(err)
	}
	if err := Preflight(1<<40, nil); checkFiles(1<<41) != nil && (err == nil || !strings.Contains(err.Error(), "ulimit -n 1099511627840")) {
		t.Error(err)
	}
}
