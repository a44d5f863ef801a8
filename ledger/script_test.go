package ledger

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger/placement"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// TestScripts replays the sessions in testdata. A line that starts with "$"
// says who asks and what; the lines that follow are what the ledger made of
// it: the events, or after "!" the refusal. To accept what it makes of it
// now, run GOLDEN=write go test, and read the diff.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d scripts: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newWorld(t).replay(string(want))
			if os.Getenv("GOLDEN") == "write" {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// A world is a state and the words in which tests speak of it.
type world struct {
	testing.TB
	*State
	at time.Time
}

// testSecret is the journal secret of every mesh in the tests.
var testSecret = bytes.Repeat([]byte{7}, 32)

func newWorld(tb testing.TB) *world {
	tb.Helper()
	return &world{tb, NewState(), noon}
}

// ask has the ledger decide c for p, and record it.
func (w *world) ask(p Principal, c Command) ([]Event, error) {
	w.Helper()
	at := w.Advance(w.Index()+1, w.at)
	data, err := Encode(p, c)
	if err != nil {
		w.Fatal(err)
	}
	parsed, c, err := Parse(data) // as the log would bring it
	if err != nil {
		w.Fatal(err)
	}
	events, err := w.Decide(c, Context{at, parsed})
	if err != nil && CodeOf(err) == "" {
		w.Fatalf("%s: a refusal without a code: %v", c.Kind(), err)
	}
	w.Evolve(events...)
	return events, err
}

// run executes one line, such as "p1 offer 2", and returns what came of it.
func (w *world) run(line string) string {
	w.Helper()
	words := strings.Fields(line)
	if out, ok := w.look(words); ok {
		return out
	}
	p, c := w.parse(words)
	events, err := w.ask(p, c)
	var out strings.Builder
	for _, e := range events {
		fmt.Fprintln(&out, e)
	}
	if err != nil {
		fmt.Fprintf(&out, "! %v (%s)\n", err, CodeOf(err))
	}
	return out.String()
}

func (w *world) replay(script string) string {
	w.Helper()
	var out strings.Builder
	for line := range strings.Lines(script) {
		switch {
		case strings.HasPrefix(line, "$"):
			out.WriteString(line)
			out.WriteString(w.run(strings.TrimPrefix(line, "$")))
		case strings.HasPrefix(line, "#"), line == "\n":
			out.WriteString(line)
		}
	}
	return out.String()
}

// look does what is no command: it shows things and lets time pass.
func (w *world) look(words []string) (string, bool) {
	w.Helper()
	switch words[0] {
	case "people":
		return w.showPeople(), true
	case "wallets":
		return w.showWallets(), true
	case "reviews":
		return w.showReviews(words[1]), true
	case "bill":
		return w.showBill(words[1]), true
	case "hours":
		w.at = w.at.Add(time.Duration(w.number(words[1])) * time.Hour)
		return "", true
	case "show":
		i, ok := w.InstanceByReference(AccountName(words[1]), Reference(words[2]))
		if !ok {
			return "nothing\n", true
		}
		parameters, _ := json.Marshal(i.Parameters)
		return fmt.Sprintf("%s %s of %s: %s requested, %s, healthy %v, generation %d, %s/%s at %s, parameters %s, connection %v\n",
			i.ID, i.Reference, i.Account, i.Requested, i.State, i.Healthy, i.Generation, i.Computer, PartitionName(i.Partition), i.Address, parameters, i.Connection), true
	case "tree":
		return w.showTree(words[1], words[2]), true
	case "computers":
		var out strings.Builder
		for c := range w.Computers() {
			fmt.Fprintf(&out, "%s %s: %d of %d free, %s", c.ID, c.Name, c.Free, c.Partitions, c.State)
			for _, is := range []struct {
				so   bool
				text string
			}{{c.Drained, ", drained"}, {c.Retired, ", retired"}, {c.Given, ", of " + string(c.Account)}} {
				if is.so {
					out.WriteString(is.text)
				}
			}
			if !c.Settings.IsZero() {
				fmt.Fprintf(&out, ", %s %v", c.Scope, c.Labels)
			}
			if c.Reserved != (Needs{}) {
				fmt.Fprintf(&out, ", reserved %s of %s", c.Reserved, c.Capacity())
			}
			out.WriteString("\n")
		}
		return out.String(), true
	}
	return "", false
}

// principal reads who asks: "system", "@account", "%token", or a peer.
func principal(word string) Principal {
	switch {
	case word == "system":
		return System()
	case word[0] == '@':
		return AsAccount(AccountName(word[1:]))
	case word[0] == '%':
		return AsToken(TokenID(word[1:]))
	}
	return AsPeer(PeerID(word))
}

// parse reads a line such as "p1 request db1 mariadb memory=1 ?country=FR".
func (w *world) parse(words []string) (Principal, Command) {
	w.Helper()
	verb, plain, values, filter := words[1], []string{}, map[string]string{}, map[string]string(nil)
	for _, word := range words[2:] {
		k, v, assigned := strings.Cut(word, "=")
		switch asks := strings.HasPrefix(k, "?"); {
		case asks && filter == nil:
			filter = map[string]string{k[1:]: v}
		case asks:
			filter[k[1:]] = v
		case assigned:
			values[k] = v
		default:
			plain = append(plain, word)
		}
	}
	plain = append(plain, "", "", "", "") // missing words are empty
	p := principal(words[0])
	if c := w.parseMembers(verb, plain, values); c != nil {
		return p, c
	}
	if c := w.parseWork(verb, plain, values, filter, p); c != nil {
		return p, c
	}
	if c := w.parseTree(verb, plain, values, filter); c != nil {
		return p, c
	}
	if c := w.parseFleet(verb, plain, values); c != nil {
		return p, c
	}
	if c := w.parseMoney(verb, plain, values); c != nil {
		return p, c
	}
	if c := w.parsePeople(verb, plain, values); c != nil {
		return p, c
	}
	w.Fatalf("unknown verb in %q", words)
	return p, nil
}

func digestOfToken(id string) []byte { return fmt.Appendf(nil, "%-32.32s", id) }

func (w *world) parseMembers(verb string, a []string, values map[string]string) Command {
	switch verb {
	case "found": // NAME ACCOUNT PEER [open]
		return Found{a[0], "id-" + a[0], a[3] == "open", AccountName(a[1]), PeerID(a[2]), "peer " + a[2], publicKeyOf(a[2]), 0, CurrentRules, testSecret, a[3] == "ask"}
	case "token": // ID ROLE ACCOUNT [USES] [scopes=read,money] [project=P]
		c := CreateToken{ID: TokenID(a[0]), Digest: digestOfToken(a[0]), Role: Role(a[1]), Uses: w.number(cmp.Or(a[3], "1")), Expires: w.at.Add(time.Hour)}
		c.Account, c.Project = AccountName(a[2]), AccountName(values["project"])
		if values["scopes"] != "" {
			c.Scopes = strings.Split(values["scopes"], ",")
		}
		return c
	case "revoke":
		return RevokeToken{TokenID(a[0])}
	case "admit": // PEER [TOKEN]
		c := Admit{Open: a[1] == "", Peer: PeerID(a[0]), PublicKey: publicKeyOf(a[0]), Name: "peer " + a[0]}
		if a[1] != "" {
			c.TokenDigest = digestOfToken(a[1])
		}
		return c
	case "role":
		return SetRole{PeerID(a[0]), Role(a[1])}
	case "remove":
		return RemovePeer{PeerID(a[0])}
	case "leave":
		return Leave{Force: a[0] == "force"}
	case "seat":
		return AssignSeat{PeerID(a[0])}
	case "rules":
		return RaiseRules{uint64(w.number(a[0])), testSecret}
	case "lost":
		return MarkComputers{Lost: []ComputerID{ComputerID(a[0])}}
	case "back":
		return MarkComputers{Back: []ComputerID{ComputerID(a[0])}}
	}
	return nil
}

// profileOf returns the bytes that tests publish as NAME VERSION.
func profileOf(name, version string) []byte { return []byte("profile of " + name + " " + version) }

func (w *world) parseWork(verb string, a []string, values, filter map[string]string, p Principal) Command {
	w.Helper()
	release := func(name, version string) ReleaseDigest { return DigestOf(profileOf(name, version)) }
	switch verb {
	case "offer": // N [label=value…]
		c := Offer{Partitions: w.number(a[0]), Scope: Scope(values["scope"]), Grade: values["grade"], Arch: values["arch"], Labels: values}
		needs := w.takeNeeds("", values)
		c.Cores, c.Memory, c.Disk, c.Bandwidth = uint32(needs.Cores), needs.Memory, needs.Disk, needs.Bandwidth
		c.Host = values["host"]
		for _, k := range []string{"scope", "grade", "arch", "host"} {
			delete(values, k)
		}
		return c
	case "publish": // NAME [VERSION [TYPE]]
		c := Publish{Digest: release(a[0], a[1]), Profile: profileOf(a[0], a[1]), Name: a[0], Version: a[1]}
		if a[2] != "" {
			c.Types = strings.Split(a[2], ",")
		}
		return c
	case "unpublish":
		return Unpublish{release(a[0], a[1])}
	case "supply": // COMPUTER NAME STATE [VERSION]
		return SetSupply{ComputerID(a[0]), release(a[1], a[3]), SupplyState(a[2])}
	case "supplied": // NAME STATE [VERSION]
		return Report{Supplies: []SupplyReport{{Release: release(a[0], a[2]), State: SupplyState(a[1]), Error: values["error"]}}}
	case "request": // REFERENCE NAME [VERSION or ~VERSION, not pinned [TYPE]] [parameter=value…] [+need=value…] [?label=value…]
		version, loose := strings.CutPrefix(a[2], "~")
		c := Request{Reference: Reference(a[0]), Release: release(a[1], version), Pinned: !loose, Type: a[3], Filter: filter}
		c.State, c.Account = InstanceState(values["state"]), AccountName(values["account"])
		c.Where, c.Policy = strings.ReplaceAll(values["where"], "_", " "), placement.Policy(values["policy"])
		c.Needs, c.ReplaceNeeds = w.takeNeeds("+", values), values["+needs"] == "only"
		c.Parent, c.Scope, c.Keep, c.Shared = w.id(values["parent"]), Scope(values["scope"]), w.keep(values), values["shared"] != ""
		c.Affinity = Affinity{references(values["+near"]), values["+nearby"], references(values["+apart"]), values["+apartby"]}
		if most, ok := values["+max"]; ok {
			c.MaxPrice = w.amount(most)
		}
		for _, k := range []string{"state", "account", "where", "policy", "+needs", "parent", "scope", "shared", "+near", "+nearby", "+apart", "+apartby", "+max"} {
			delete(values, k)
		}
		for k, v := range values {
			if c.Parameters == nil {
				c.Parameters = make(map[string]json.RawMessage)
			}
			c.Parameters[k] = json.RawMessage(v)
		}
		return c
	case "start", "stop", "destroy":
		states := map[string]InstanceState{"start": InstanceStarted, "stop": InstanceStopped, "destroy": InstanceDestroyed}
		return SetState{AccountName(values["account"]), Reference(a[0]), states[verb], w.keep(values)}
	case "report": // ACCOUNT REFERENCE STATE [GENERATION] [reason=…] [name=value…]
		i, _ := w.InstanceByReference(AccountName(a[0]), Reference(a[1]))
		r := InstanceReport{ID: i.ID, Generation: i.Generation, State: InstanceState(a[2]), Reason: values["reason"], Healthy: a[2] == "started"}
		if a[3] != "" {
			r.Generation = uint64(w.number(a[3]))
		}
		if delete(values, "reason"); len(values) > 0 {
			r.Connection = values
		}
		return Report{Instances: []InstanceReport{r}}
	}
	return nil
}

func (w *world) number(word string) int {
	w.Helper()
	n, err := strconv.Atoi(word)
	if err != nil {
		w.Fatal(err)
	}
	return n
}
