package build

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// An entry is one place of the Debian archive from the computer's own
// configuration of apt.
type entry struct {
	URIs       []string
	Suites     []string
	Components []string
	SignedBy   []string // files, as the computer's owner wrote them
}

// archiveNames are the last elements of the URLs under which mirrors have the
// Debian archive.
var archiveNames = []string{"debian", "debian-security", "debian-archive", "debian-ports", "debian-updates"}

// ofDebian tells whether the entry is of the Debian archive. What is wrongly
// taken for it fails later, for it is verified with the keys of Debian alone.
func (e entry) ofDebian() bool {
	if len(e.Suites) == 0 || len(e.Components) == 0 || len(e.URIs) == 0 {
		return false
	}
	if len(e.SignedBy) > 0 {
		return slices.ContainsFunc(e.SignedBy, func(file string) bool {
			return strings.HasPrefix(path.Base(file), "debian-archive-")
		})
	}
	return !slices.ContainsFunc(e.URIs, func(uri string) bool {
		last := strings.TrimSuffix(path.Base(strings.TrimRight(uri, "/")), ".list")
		return !slices.Contains(archiveNames, last) || strings.HasPrefix(uri, "cdrom:")
	})
}

// hostEntries reads the entries of the Debian archive in a folder like
// /etc/apt.
func hostEntries(etc string) ([]entry, error) {
	var files []string
	for _, pattern := range []string{"sources.list", "sources.list.d/*.list", "sources.list.d/*.sources"} {
		found, err := filepath.Glob(filepath.Join(etc, pattern))
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	var out []entry
	for _, name := range files {
		data, err := os.ReadFile(name)
		switch {
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission):
			continue
		case err != nil:
			return nil, err
		}
		parse := parseList
		if strings.HasSuffix(name, ".sources") {
			parse = parseSources
		}
		for _, e := range parse(string(data)) {
			if e.ofDebian() {
				out = append(out, e)
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("apt: no entry of the Debian archive in %s: add one, as in "+
			`"deb http://MIRROR/debian SUITE main", then try again`, filepath.Join(etc, "sources.list"))
	}
	return out, nil
}

// parseList reads the one-line style: deb [options] uri suite component….
func parseList(text string) []entry {
	var out []entry
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "deb ")
		if !ok {
			continue
		}
		var e entry
		if rest = strings.TrimSpace(rest); strings.HasPrefix(rest, "[") {
			options, after, closed := strings.Cut(rest[1:], "]")
			if !closed {
				continue
			}
			rest = after
			for option := range strings.FieldsSeq(options) {
				if file, ok := strings.CutPrefix(option, "signed-by="); ok {
					e.SignedBy = strings.Split(file, ",")
				}
			}
		}
		if fields := strings.Fields(rest); len(fields) >= 3 {
			e.URIs, e.Suites, e.Components = fields[:1], fields[1:2], fields[2:]
			out = append(out, e)
		}
	}
	return out
}

// parseSources reads the style of stanzas, deb822.
func parseSources(text string) []entry {
	var out []entry
	fields, last := map[string]string{}, ""
	flush := func() {
		enabled := strings.ToLower(strings.TrimSpace(fields["enabled"]))
		if slices.Contains(strings.Fields(fields["types"]), "deb") && enabled != "no" && enabled != "false" && enabled != "0" {
			out = append(out, entry{
				strings.Fields(fields["uris"]), strings.Fields(fields["suites"]),
				strings.Fields(fields["components"]), keyFiles(fields["signed-by"]),
			})
		}
		fields, last = map[string]string{}, ""
	}
	scanner := bufio.NewScanner(strings.NewReader(text))
	for scanner.Scan() {
		line := scanner.Text()
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			flush()
		case line[0] == ' ' || line[0] == '\t':
			fields[last] += "\n" + line
		default:
			if key, value, ok := strings.Cut(line, ":"); ok {
				last = strings.ToLower(key)
				fields[last] = value
			}
		}
	}
	flush()
	return out
}

// keyFiles returns the files of a Signed-By; a key written out in it is none,
// so the entry is judged by its address.
func keyFiles(value string) []string {
	if strings.Contains(value, "BEGIN PGP") {
		return nil
	}
	return strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' })
}

// keyrings are where Debian keeps the keys of its archive.
var keyrings = []string{
	"/usr/share/keyrings/debian-archive-keyring.pgp",
	"/usr/share/keyrings/debian-archive-keyring.gpg",
}

// writeEntries returns entries in deb822, each signed by Debian's keys.
func writeEntries(entries []entry) (string, error) {
	var out strings.Builder
	for _, e := range entries {
		var keys []string
		for _, name := range append(slices.Clone(e.SignedBy), keyrings...) {
			if _, err := os.Stat(name); err == nil && filepath.IsAbs(name) {
				keys = []string{name}
				break
			}
		}
		if len(keys) == 0 {
			return "", fmt.Errorf("apt: no keys of the Debian archive in %s: install the package debian-archive-keyring", keyrings[1])
		}
		fmt.Fprintf(&out, "Types: deb\nURIs: %s\nSuites: %s\nComponents: %s\nSigned-By: %s\n\n",
			strings.Join(e.URIs, " "), strings.Join(e.Suites, " "), strings.Join(e.Components, " "), keys[0])
	}
	return out.String(), nil
}

// kept are the options of the computer's own apt that also hold for a private
// one: how it reaches the archive. None of them weakens verification but the
// checks of dates, which the owner of a frozen mirror has to switch off.
var kept = []string{
	"Acquire::http::", "Acquire::https::", "Acquire::ftp::", "Acquire::tor::", "Acquire::Retries",
	"Acquire::Check-Valid-Until", "Acquire::Check-Date", "Acquire::ForceIPv4", "Acquire::ForceIPv6",
	"Acquire::Queue-Mode", "Acquire::EnableSrvRecords",
}

// hostOptions returns the options to keep, as lines of apt.conf.
func (a *apt) hostOptions(ctx context.Context) (string, error) {
	dump, err := a.command(ctx, "apt-config", "dump", "--no-empty", "--format", `%F "%v";%n`, "Acquire")
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for line := range strings.Lines(dump) {
		if slices.ContainsFunc(kept, func(prefix string) bool { return strings.HasPrefix(line, prefix) }) &&
			!strings.Contains(line, "Allow") {
			out.WriteString(line)
		}
	}
	return out.String(), nil
}
