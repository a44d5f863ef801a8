package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func ledgerVerb() *verb {
	return &verb{
		name: "ledger", args: "verify|entry|export|keys", brief: "check and export the history of all that was decided",
		examples: []string{"slapd ledger verify", "slapd ledger export --format ledger --output mesh.journal", "slapd ledger keys > mesh.keys"},
		subs:     []*verb{ledgerVerifyVerb(), ledgerEntryVerb(), ledgerExportVerb(), ledgerKeysVerb()},
	}
}

func ledgerVerifyVerb() *verb {
	return &verb{
		name: "verify", args: "[FILE]", max: 1, brief: "check history: every byte, every sum, every signature",
		about: "Without FILE, this peer computes every hash of its journal again, compares it with all\n" +
			"signed checkpoints that it ever saw, and what the entries add up to with every balance.\n" +
			"A peer that does not keep the ledger checks that all checkpoints continue one another.\n" +
			"FILE is an export in the form proof. No mesh is needed to check it, but the keys of who\n" +
			"signs: --keys FILE, which slapd ledger keys wrote; or those that the peer here knows.",
		options: func() []cli.Flag {
			return []cli.Flag{&cli.StringFlag{Name: "keys", Usage: "believe only keys in `FILE`"}}
		},
		examples: []string{"slapd ledger verify", "slapd ledger verify mesh.proof --keys mesh.keys"},
		run: func(ctx context.Context, i *invocation) error {
			if len(i.args) == 1 {
				return i.verifyFile(ctx, i.args[0])
			}
			if i.IsSet("keys") {
				return usagef("--keys: only with a FILE")
			}
			return i.verifyHistory(ctx)
		},
	}
}

func (i *invocation) verifyHistory(ctx context.Context) error {
	service, err := i.service()
	if err != nil {
		return err
	}
	line := &drawnLine{out: i.Err, terminal: i.Terminal}
	defer line.end()
	var last protocol.Verification
	for v, err := range service.VerifyHistory(ctx) {
		if err != nil {
			return err
		}
		if last = v; !v.Done {
			line.draw(fmt.Sprintf("checked %d of %d entries", v.Checked, v.Total))
		}
	}
	line.end()
	if !last.Done {
		return errors.New("it was cut off before the end: ask again")
	}
	if err := i.show(last.Filled(), func(w io.Writer) { printVerification(w, last) }); err != nil {
		return err
	}
	if n := len(last.Conflicts); n > 0 {
		return fmt.Errorf("%d signed checkpoints are of another history: somebody showed two histories: trust no figure until it is known who", n)
	}
	return nil
}

func printVerification(w io.Writer, v protocol.Verification) {
	row(w, "entries", v.Size)
	row(w, "root", v.Root)
	if v.MissingFrom != v.MissingTo {
		row(w, "not here yet", fmt.Sprintf("%d to %d", v.MissingFrom, v.MissingTo))
	}
	row(w, "signed checkpoints", fmt.Sprintf("%d agree, %d are of more than this peer has", v.Checkpoints, v.Ahead))
	row(w, "signed entries", v.Proven)
	row(w, "balances", fmt.Sprintf("%d agree", v.Balances))
	for _, c := range v.Conflicts {
		row(w, "CONTRADICTION", oneLine(c))
	}
}

func ledgerExportVerb() *verb {
	return &verb{
		name: "export", brief: "write out history, to be checked or to be read by other programs",
		about: "The formats: proof (all entries with what proves them, for slapd ledger verify; operators\n" +
			"only), json, csv, ledger (for ledger and hledger) and beancount. Operators get the entries\n" +
			"of all accounts, or those of --account; others get their own. Times are UTC.",
		options: func() []cli.Flag {
			return append(periodFlags(),
				&cli.StringFlag{Name: "format", Usage: "`FORMAT` is proof, json, csv, ledger or beancount", Value: protocol.FormatJSON},
				&cli.StringFlag{Name: "account", Usage: "only what concerns `ACCOUNT`"},
				&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write to `FILE`, once it is complete"})
		},
		examples: []string{
			"slapd ledger export --format ledger -o mesh.journal && hledger -f mesh.journal balance",
			"slapd ledger export --format proof -o mesh.proof", "slapd ledger export --format csv --period 2026-11",
		},
		run: func(ctx context.Context, i *invocation) error {
			in := protocol.ExportInput{Format: i.String("format"), Account: i.String("account")}
			if !slices.Contains(protocol.Formats(), in.Format) {
				return usagef("--format %s: one of %s", in.Format, strings.Join(protocol.Formats(), ", "))
			}
			if i.Bool("json") {
				return usagef("--json: say --format json")
			}
			var err error
			if in.From, in.Until, err = i.period(); err != nil {
				return err
			}
			service, err := i.service()
			if err != nil {
				return err
			}
			out, err := service.ExportHistory(ctx, in)
			if err != nil {
				return err
			}
			defer out.Close() //nolint:errcheck // read only
			if name := i.String("output"); name != "" {
				return i.save(name, out)
			}
			_, err = io.Copy(i.Out, out)
			return err
		},
	}
}

// save writes a file that is there complete, or not at all, and shows how far
// it is.
func (i *invocation) save(name string, from io.Reader) error {
	f, err := os.CreateTemp(folderOf(name), ".slapd-export-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it is renamed, or of no use
	line := &drawnLine{out: i.Err, terminal: i.Terminal}
	defer line.end()
	written := &counting{w: f, told: func(n int64) { line.draw(fmt.Sprintf("%s: %d MB", name, n/1e6)) }}
	_, err = io.Copy(written, from)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

func folderOf(name string) string {
	if n := strings.LastIndexByte(name, '/'); n >= 0 {
		return name[:n+1]
	}
	return "."
}

// A counting writer tells now and then how much was written.
type counting struct {
	w     io.Writer
	n     int64
	told  func(n int64)
	since int64
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	if c.since += int64(n); c.since >= 1e6 {
		c.since = 0
		c.told(c.n)
	}
	return n, err
}

func ledgerEntryVerb() *verb {
	return &verb{
		name: "entry", args: "NUMBER", min: 1, max: 1, brief: "one entry, with the proof that signed history holds it",
		about: "The peer that is asked checks the proof, and that the checkpoint continues all that it\n" +
			"ever saw, wherever the entry is from. Entries are numbered from 0.",
		examples: []string{"slapd ledger entry 17", "slapd ledger entry 17 --json"},
		run: func(ctx context.Context, i *invocation) error {
			n, err := strconv.ParseUint(i.args[0], 10, 63)
			if err != nil {
				return usagef("%s: the number of an entry wanted", i.args[0])
			}
			service, err := i.service()
			if err != nil {
				return err
			}
			e, err := service.HistoryEntry(ctx, n)
			if err != nil {
				return err
			}
			return i.show(e.Filled(), func(w io.Writer) { printEntry(w, e) })
		},
	}
}

func printEntry(w io.Writer, e protocol.HistoryEntry) {
	row(w, "entry", e.Entry)
	row(w, "at", e.At.Format(time.RFC3339Nano))
	row(w, "what", e.Kind)
	row(w, "asked by", e.Principal)
	row(w, "account", e.Account)
	row(w, "instance", e.Instance)
	row(w, "computer", e.Computer)
	for _, p := range e.Postings {
		row(w, "moved", p.Amount+" to "+p.Account)
	}
	row(w, "used", pairs(e.Used))
	row(w, "proven", fmt.Sprintf("it is in the %d entries that %s signed", e.Size, strings.Join(e.Signers, ", ")))
}

func ledgerKeysVerb() *verb {
	return &verb{
		name: "keys", brief: "whose signatures count: what is needed to check an export without the mesh",
		about:    "The first line names the history, each other one is a key of a peer that keeps or kept it.",
		examples: []string{"slapd ledger keys > mesh.keys", "slapd ledger keys --json"},
		run: func(ctx context.Context, i *invocation) error {
			service, err := i.service()
			if err != nil {
				return err
			}
			keys, err := service.HistoryKeys(ctx)
			if err != nil {
				return err
			}
			return i.show(keys, func(w io.Writer) {
				for _, line := range append([]string{keys.Origin}, keys.Keys...) {
					row(w, line)
				}
			})
		},
	}
}
