package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"
)

// Profiles is what slapd does with the profiles of releases on this computer,
// without a mesh.
type Profiles interface {
	// Bundle reads a folder with a release.star and returns its canonical
	// archive.
	Bundle(folder string) ([]byte, error)
	// Check reads the profile in a folder, or its release.star, and says what
	// an instance of each type, or of one, would be. An error with a method
	// Explain says more than fits on a line.
	Check(path, instanceType string, parameters map[string]json.RawMessage) (ProfileReport, error)
	// New writes a small profile to begin from, and returns its files.
	New(folder string) ([]string, error)
}

// A ProfileReport says what a profile is, and what its instances would be.
type ProfileReport struct {
	Name       string           `json:"name"`
	Version    string           `json:"version"`
	Title      string           `json:"title"`
	Digest     string           `json:"digest"`
	Bytes      int              `json:"bytes"`
	Sources    []string         `json:"sources"`
	Parameters json.RawMessage  `json:"parameters"`
	Instances  []ProfilePreview `json:"instances"`
}

// A ProfilePreview is what an instance of a type would be.
type ProfilePreview struct {
	Type      string            `json:"type"`
	Files     []string          `json:"files"`
	Steps     []string          `json:"steps"`
	Requests  []string          `json:"requests"`
	Services  []string          `json:"services"`
	Ports     map[string]uint16 `json:"ports"`
	Promises  []string          `json:"promises"`
	Metrics   []string          `json:"metrics"`
	Published []string          `json:"published"`
}

func releaseVerb() *verb {
	return &verb{
		name: "release", args: "new|check", brief: "write a release of your own, and check it",
		examples: []string{"slapd release new greeter", "slapd release check greeter", "slapd request ./greeter first --wait"},
		subs:     []*verb{releaseNewVerb(), releaseCheckVerb()},
	}
}

func releaseNewVerb() *verb {
	return &verb{
		name: "new", args: "FOLDER", min: 1, max: 1, brief: "write a small profile to begin from",
		about:    "The release is called as the folder, which must be new or empty.",
		examples: []string{"slapd release new greeter"},
		run: func(_ context.Context, i *invocation) error {
			folder := i.args[0]
			files, err := i.Profiles.New(folder)
			if err != nil {
				return err
			}
			return i.show(map[string]any{"folder": folder, "files": files}, func(w io.Writer) {
				for _, f := range files {
					fmt.Fprintln(w, filepath.Join(folder, f))
				}
			})
		},
	}
}

func releaseCheckVerb() *verb {
	return &verb{
		name: "check", args: "FOLDER", min: 1, max: 1, brief: "whether a profile is sound, and what its instances would be",
		about: "Nothing is built or run. A fault is shown with its file, line and column.",
		options: func() []cli.Flag {
			return []cli.Flag{
				&cli.StringFlag{Name: "type", Usage: "only the instance `TYPE`"},
				&cli.StringSliceFlag{Name: "param", Usage: "with parameter `NAME=VALUE`; may be repeated"},
				&cli.StringFlag{Name: "params-file", Usage: "with the parameters in `FILE`, a JSON object; - is standard input"},
			}
		},
		examples: []string{"slapd release check ./greeter", "slapd release check ./greeter --param greeting=hi --json"},
		run:      checkProfile,
	}
}

func checkProfile(_ context.Context, i *invocation) error {
	parameters, err := i.parameters()
	if err != nil {
		return err
	}
	report, err := i.Profiles.Check(i.args[0], i.String("type"), parameters)
	var explained interface{ Explain() string }
	if errors.As(err, &explained) {
		fmt.Fprint(i.Err, printableLines(explained.Explain()))
		return &exitError{code: exitFailed}
	}
	if err != nil {
		return err
	}
	return i.show(report, func(w io.Writer) { printReport(w, report) })
}

func printReport(w io.Writer, r ProfileReport) {
	fmt.Fprintf(w, "%s %s is sound: %d bytes, of %s\n", printable(r.Name), printable(r.Version), r.Bytes, printable(strings.Join(r.Sources, ", ")))
	for _, p := range r.Instances {
		row(w, "TYPE", p.Type)
		for _, line := range []struct {
			what  string
			names []string
		}{
			{"files", p.Files},
			{"requests", p.Requests},
			{"steps", p.Steps},
			{"services", p.Services},
			{"ports", []string{pairs(p.Ports)}},
			{"promises", p.Promises},
			{"metrics", p.Metrics},
			{"publishes", p.Published},
		} {
			row(w, "  "+line.what, strings.Join(line.names, " "))
		}
	}
}

// printableLines makes the lines of a text safe for a terminal.
func printableLines(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(printable(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return out.String()
}
