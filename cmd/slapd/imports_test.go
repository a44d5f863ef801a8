package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// mayImport is the architecture: who may import whom. A package that is not
// listed, or an import that is not allowed, fails the build. The same table
// stands, in words, in ARCHITECTURE.md.
var mayImport = map[string][]string{
	"mesh":                      {"mesh/frame", "mesh/nat", "mesh/path", "mesh/portmap", "mesh/relay", "mesh/switchboard", "mesh/tcp", "mesh/tiers"},
	"mesh/frame":                {},
	"mesh/lan":                  {},
	"mesh/nat":                  {},
	"mesh/path":                 {},
	"mesh/portmap":              {},
	"mesh/relay":                {},
	"mesh/switchboard":          {},
	"mesh/tcp":                  {},
	"mesh/tiers":                {"mesh/frame"},
	"mesh/tunnel":               {"mesh", "mesh/datagram"},
	"mesh/datagram":             {},
	"consensus":                 {"consensus/logstore"},
	"consensus/logstore":        {},
	"consensus/consensustest":   {"consensus"},
	"consensus/voters":          {},
	"ledger/table":              {},
	"ledger/placement":          {"ledger/table"},
	"ledger/book":               {},
	"ledger":                    {"ledger/book", "ledger/placement", "ledger/table"},
	"ledger/view":               {"ledger"},
	"ledger/journal":            {},
	"ledger/journal/exchange":   {"ledger/journal"},
	"ledger/journal/invoice":    {"ledger/journal"},
	"ledger/journal/plaintext":  {"ledger/journal"},
	"ledger/replica":            {"ledger", "ledger/book", "ledger/journal", "ledger/view"},
	"ledger/remote":             {"ledger", "ledger/view"},
	"partition/release":         {},
	"partition/catalog":         {"partition/release"},
	"partition/taste":           {"partition/release"},
	"partition/store":           {},
	"partition/store/faulttest": {},
	"partition/build":           {"partition/build/process", "partition/build/source", "partition/release", "partition/store"},
	"partition/build/process":   {},
	"partition/build/source":    {"partition/build/process", "partition/release"},
	"partition/fetch":           {"partition/store"},
	"partition/handover":        {"mesh/frame"},
	"partition/build/buildtest": {"partition/build", "partition/store"},
	"partition/confine":         {},
	"partition/supervisor":      {"partition/confine"},
	"partition/meter":           {"ledger"},
	"partition/meter/kernel":    {"partition/meter"},
	"partition/limits":          {},
	"partition/sandbox":         {"partition/limits", "partition/sandbox/wayout", "partition/supervisor"},
	"partition/sandbox/wayout":  {},
	"partition": {
		"ledger", "partition/build", "partition/catalog", "partition/limits", "partition/release",
		"partition/sandbox", "partition/store", "partition/supervisor", "partition/taste",
	},
	"protocol":              {"ledger"},
	"protocol/protocoltest": {"protocol"},
	"protocol/rest":         {"ledger", "protocol"},
	"protocol/client":       {"ledger", "protocol"},
	"cmd/slapd":             {"cmd/slapd/command", "cmd/slapd/daemon", "cmd/slapd/demo", "partition/build", "partition/catalog", "partition/release", "partition/sandbox/wayout", "partition/supervisor", "partition/taste"},
	"cmd/slapd/command":     {"ledger", "ledger/journal", "mesh/datagram", "protocol", "protocol/client"},
	"cmd/slapd/demo":        {"cmd/slapd/command", "protocol", "protocol/client"},
	"cmd/slapd/daemon": {
		"consensus", "consensus/voters", "ledger", "ledger/book", "ledger/journal", "ledger/journal/exchange", "ledger/journal/invoice", "ledger/journal/plaintext", "ledger/placement", "ledger/remote", "ledger/replica", "ledger/view", "mesh", "mesh/lan", "mesh/relay", "mesh/tunnel",
		"partition", "partition/build", "partition/catalog", "partition/fetch", "partition/handover", "partition/meter", "partition/meter/kernel", "partition/release",
		"partition/sandbox", "partition/store", "partition/supervisor", "partition/taste", "protocol", "protocol/client", "protocol/rest", "cmd/slapd/command",
	},
}

func TestImports(t *testing.T) {
	const module = "github.com/slapmesh/slapmesh/"
	list := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"...")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		paths := strings.Fields(line)
		pkg := strings.TrimPrefix(paths[0], module)
		if strings.HasPrefix(pkg, "examples/") {
			continue // examples are users: they may import what is public
		}
		allowed, listed := mayImport[pkg]
		if !listed {
			t.Errorf("package %s is not in mayImport", pkg)
		}
		for _, p := range paths[1:] {
			if imp, ours := strings.CutPrefix(p, module); ours && !slices.Contains(allowed, imp) {
				t.Errorf("%s may not import %s", pkg, imp)
			}
		}
	}
}
