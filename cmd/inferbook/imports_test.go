package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/inferbook/inferbook/"

// mayImport lists, for each package of ours, the packages of ours that it may
// reach, directly or through another. What is not listed is not allowed.
var mayImport = map[string][]string{
	"experiment":           {},
	"experiment/store":     {"experiment"},
	"analysis":             {"experiment", "analysis/interval", "analysis/sentence"},
	"analysis/interval":    {},
	"analysis/sentence":    {},
	"analysis/peer":        {"analysis", "analysis/interval", "analysis/sentence", "experiment"},
	"analysis/compare":     {"analysis", "analysis/interval", "analysis/sentence", "experiment"},
	"analysis/instinct":    {"analysis", "analysis/interval", "analysis/sentence", "experiment"},
	"runner/sim":           {},
	"runner/sim/calibrate": {"runner/sim"},
	"runner/sim/published": {"runner/sim"},
	"runner/probe":         {"experiment", "runner/sim"},
	"runner/arrival":       {"experiment"},
	"runner/lag":           {},
	"runner/dataset":       {},
	"runner/workload":      {"experiment", "runner/dataset"},
	"runner/stamp":         {},
	"runner/selftest":      {"experiment", "runner", "runner/arrival", "runner/dataset", "runner/lag", "runner/sim", "runner/stamp", "runner/workload"},
	"runner":               {"experiment", "runner/arrival", "runner/dataset", "runner/lag", "runner/sim", "runner/stamp", "runner/workload"},
	"runner/capacity":      {"analysis", "analysis/interval", "analysis/sentence", "experiment", "runner/arrival", "runner/sim"},
	"experiment/foreign":   {"experiment"},
	"reports/figure":       {"analysis", "analysis/interval", "analysis/sentence", "experiment"},
	"reports":              {"analysis", "analysis/instinct", "analysis/interval", "analysis/sentence", "experiment", "reports/figure"},
	"notes":                {"experiment"},
	"cmd/inferbook": {"analysis", "analysis/compare", "analysis/instinct", "analysis/interval", "analysis/sentence", "analysis/peer", "experiment", "experiment/store", "notes", "reports", "reports/figure",
		"experiment/foreign", "runner", "runner/arrival", "runner/capacity", "runner/dataset", "runner/lag", "runner/probe", "runner/selftest", "runner/sim", "runner/sim/calibrate", "runner/sim/published", "runner/stamp", "runner/workload"},
}

// oneDoor names the only package of ours that may import a library itself.
var oneDoor = map[string]string{
	"github.com/mattn/go-sqlite3":        "experiment/store",
	"github.com/pressly/goose/v3":        "experiment/store",
	"github.com/sashabaranov/go-openai":  "runner",
	"github.com/yuin/goldmark":           "reports",
	"gonum.org/v1/plot":                  "reports/figure",
	"github.com/urfave/cli/v2":           "cmd/inferbook",
	"github.com/NVIDIA/go-nvml/pkg/nvml": "runner/probe",
	"github.com/aclements/go-moremath":   "analysis/interval",
}

// goList runs go list over the whole module with a format.
func goList(t *testing.T, format string, args ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-f", format}, append(args, module+"...")...)...).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// TestDependenciesPointOneWay keeps the layout of ARCHITECTURE.md.
func TestDependenciesPointOneWay(t *testing.T) {
	seen := map[string]bool{}
	for _, line := range goList(t, `{{.ImportPath}} {{join .Deps " "}}`) {
		words := strings.Fields(line)
		pkg := strings.TrimPrefix(words[0], module)
		allowed, known := mayImport[pkg]
		if !known {
			t.Errorf("package %s is not in this test's table; add it with what it may import", pkg)
			continue
		}
		seen[pkg] = true
		for _, dep := range words[1:] {
			ours, ok := strings.CutPrefix(dep, module)
			if ok && !slices.Contains(allowed, ours) {
				t.Errorf("%s reaches %s, which the layout does not allow", pkg, ours)
			}
		}
	}
	for pkg := range mayImport {
		if !seen[pkg] {
			t.Errorf("package %s is in this test's table and not in the module", pkg)
		}
	}
}

// TestEachLibraryHasOneDoor keeps a named library behind one package of ours.
func TestEachLibraryHasOneDoor(t *testing.T) {
	used := map[string]bool{}
	for _, line := range goList(t, `{{.ImportPath}} {{join .Imports " "}}`) {
		words := strings.Fields(line)
		pkg := strings.TrimPrefix(words[0], module)
		for _, imported := range words[1:] {
			for lib, door := range oneDoor {
				if imported != lib && !strings.HasPrefix(imported, lib+"/") {
					continue
				}
				used[lib] = true
				if pkg != door {
					t.Errorf("%s imports %s; its one door is %s", pkg, imported, door)
				}
			}
		}
	}
	for lib, door := range oneDoor {
		if !used[lib] {
			t.Errorf("nothing imports %s; %s should, or this test's table is out of date", lib, door)
		}
	}
}
