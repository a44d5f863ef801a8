package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// given returns a world in which the lines of a script have happened.
func given(tb testing.TB, script string) *world {
	tb.Helper()
	w := newWorld(tb)
	for line := range strings.Lines(script) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if out := w.run(line); strings.HasPrefix(out, "!") {
			tb.Fatalf("%s: %s", line, out)
		}
	}
	return w
}

// home is a mesh of one peer with two partitions and two releases.
const home = `
	system found home ann p1
	p1 offer 2 country=FR
	p1 publish web 1 default,big
	p1 publish db 1
`

func TestRequest(t *testing.T) {
	web := DigestOf(profileOf("web", "1"))
	long := strings.Repeat("x", MaxParameters)
	for _, tc := range []struct {
		name  string
		given string
		when  Request
		then  string // the event or the refusal, or a part of it; "" is nothing
	}{{
		name: "takes the lowest free partition and address",
		when: Request{Reference: "a", Release: web},
		then: "allocated a of ann to peer p1/p0 (web) at 127.64.0.1",
	}, {
		name:  "takes up a partition that was freed",
		given: "p1 request a web 1\np1 request b web 1\np1 destroy a\np1 report ann a destroyed",
		when:  Request{Reference: "c", Release: web},
		then:  "allocated c of ann to peer p1/p0 (web) at 127.64.0.3",
	}, {
		name:  "is idempotent",
		given: "p1 request a web 1 x=1 ?country=FR",
		when:  Request{Reference: "a", Release: web, Parameters: params("x", " 1 "), Filter: map[string]string{"country": "FR"}},
	}, {
		name:  "keeps what is not named",
		given: "p1 request a web 1 big x=1 state=stopped",
		when:  Request{Reference: "a", Release: web},
	}, {
		name:  "drops what is not named when told so",
		given: "p1 request a web 1 x=1",
		when:  Request{Reference: "a", Release: web, ReplaceParameters: true},
		then:  "changed a of ann",
	}, {
		name:  "changes the type",
		given: "p1 request a web 1",
		when:  Request{Reference: "a", Release: web, Type: "big"},
		then:  "changed a of ann: started requested, generation 2",
	}, {
		name: "refuses a type that the release has not",
		when: Request{Reference: "a", Release: web, Type: "small"},
		then: `! request a: release web has no type "small"; it has [default big] (invalid)`,
	}, {
		name: "makes a stopped instance",
		when: Request{Reference: "a", Release: web, State: InstanceStopped},
		then: "allocated a",
	}, {
		name: "does not make a destroyed instance",
		when: Request{Reference: "a", Release: web, State: InstanceDestroyed},
	}, {
		name: "refuses an unknown state",
		when: Request{Reference: "a", Release: web, State: "sleeping"},
		then: "(invalid)",
	}, {
		name: "refuses a shared instance without a host",
		when: Request{Reference: "a", Release: web, Shared: true},
		then: "! no host for a: 0 instances of the release: request one (slapd request web NAME), or ask an owner to open theirs (--scope public) (exhausted)",
	}, {
		name: "refuses a reference with a control character",
		when: Request{Reference: "a\n", Release: web},
		then: "(invalid)",
	}, {
		name: "refuses a reference that reads backwards",
		when: Request{Reference: "a\u202eb", Release: web},
		then: "(invalid)",
	}, {
		name: "refuses an empty reference",
		when: Request{Release: web},
		then: "! reference: required (invalid)",
	}, {
		name: "takes a reference in any script",
		when: Request{Reference: "données 数据", Release: web},
		then: "allocated données 数据",
	}, {
		name: "refuses a parameter that is not JSON",
		when: Request{Reference: "a", Release: web, Parameters: params("x", "{")},
		then: "! request a: parameter x: not JSON (invalid)",
	}, {
		name: "refuses parameters of 10 MB",
		when: Request{Reference: "a", Release: web, Parameters: params("x", `"`+strings.Repeat(long, 160)+`"`)},
		then: "exceed 65536 bytes (invalid)",
	}, {
		name:  "refuses parameters that grow too large together",
		given: `p1 request a web 1 x="` + long[:40_000] + `"`,
		when:  Request{Reference: "a", Release: web, Parameters: params("y", `"`+long[:40_000]+`"`)},
		then:  "exceed 65536 bytes (invalid)",
	}, {
		name: "refuses an unknown release",
		when: Request{Reference: "a", Release: DigestOf(nil)},
		then: "(not found)",
	}, {
		name: "refuses what is no digest",
		when: Request{Reference: "a", Release: "mariadb"},
		then: "(invalid)",
	}, {
		name:  "acts for another account as an operator",
		given: "p1 token t computer bob",
		when:  Request{Account: "bob", Reference: "a", Release: web},
		then:  "allocated a of bob",
	}, {
		name: "does not make accounts",
		when: Request{Account: "zoe", Reference: "a", Release: web},
		then: "! request a: account zoe is not known (not found)",
	}, {
		name:  "explains why nothing is free",
		given: "p1 request a web 1\np1 request b web 1",
		when:  Request{Reference: "c", Release: web},
		then:  "! no partition for c: 1 computer: 1 full (exhausted)",
	}} {
		t.Run(tc.name, func(t *testing.T) {
			w := given(t, home+tc.given)
			events, err := w.ask(AsPeer("p1"), tc.when)
			got := strings.Trim(fmt.Sprint(events), "[]")
			if err != nil {
				got = fmt.Sprintf("! %v (%s)", err, CodeOf(err))
			}
			if !strings.Contains(got, tc.then) || tc.then == "" && got != "" {
				t.Errorf("got %.300s\nwant %s", got, tc.then)
			}
		})
	}
}

func params(k, v string) map[string]json.RawMessage {
	return map[string]json.RawMessage{k: json.RawMessage(v)}
}

func TestReport(t *testing.T) {
	const running = home + "p1 token t computer bob\np1 admit p2 t\np2 offer 1\np1 request a web 1 ?computer=p1\n"
	for _, tc := range []struct {
		name string
		by   PeerID
		when Report
		then string
	}{{
		name: "is believed of one's own",
		by:   "p1",
		when: Report{Instances: []InstanceReport{{ID: 1, Generation: 1, State: InstanceStarted}}},
		then: "a of ann is started",
	}, {
		name: "is refused of another's",
		by:   "p2",
		when: Report{Instances: []InstanceReport{{ID: 1, Generation: 1, State: InstanceStarted}}},
		then: "! report: instance i1 is not on peer p2 (forbidden)",
	}, {
		name: "is late of what is not there",
		by:   "p2",
		when: Report{Instances: []InstanceReport{{ID: 9, Generation: 1, State: InstanceStarted}}},
	}, {
		name: "is refused of a generation to come",
		by:   "p1",
		when: Report{Instances: []InstanceReport{{ID: 1, Generation: 2, State: InstanceStarted}}},
		then: "(invalid)",
	}, {
		name: "is refused twice in one",
		by:   "p1",
		when: Report{Instances: []InstanceReport{{ID: 1, Generation: 1, State: InstanceStarted}, {ID: 1, Generation: 1, State: InstanceStopped}}},
		then: "! report: instance i1 twice (invalid)",
	}, {
		name: "is refused in an unknown state",
		by:   "p1",
		when: Report{Instances: []InstanceReport{{ID: 1, Generation: 1, State: "dancing"}}},
		then: "(invalid)",
	}, {
		name: "is refused with port 0",
		by:   "p1",
		when: Report{Instances: []InstanceReport{{ID: 1, Generation: 1, State: InstanceStarted, Ports: map[string]uint16{"x": 0}}}},
		then: "(invalid)",
	}, {
		name: "is refused with a connection that is too large",
		by:   "p1",
		when: Report{Instances: []InstanceReport{{ID: 1, Generation: 1, State: InstanceStarted, Connection: map[string]string{"x": strings.Repeat("y", MaxConnection+1)}}}},
		then: "(invalid)",
	}, {
		name: "is refused when it is too long",
		by:   "p1",
		when: Report{Supplies: make([]SupplyReport, MaxReports+1)},
		then: "(invalid)",
	}, {
		name: "is late of a supply that is not ordered",
		by:   "p2",
		when: Report{Supplies: []SupplyReport{{Release: DigestOf(profileOf("web", "1")), State: SupplyAvailable}}},
	}, {
		name: "keeps a supply that was ordered again",
		by:   "p1",
		when: Report{Supplies: []SupplyReport{{Release: DigestOf(profileOf("web", "1")), State: SupplyDestroyed}}},
	}} {
		t.Run(tc.name, func(t *testing.T) {
			w := given(t, running)
			events, err := w.ask(AsPeer(tc.by), tc.when)
			got := strings.Trim(fmt.Sprint(events), "[]")
			if err != nil {
				got = fmt.Sprintf("! %v (%s)", err, CodeOf(err))
			}
			if !strings.Contains(got, tc.then) || tc.then == "" && got != "" {
				t.Errorf("got %s\nwant %s", got, tc.then)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		when Command
		then Code
	}{
		"profile with another digest":    {Publish{Digest: DigestOf(nil), Profile: []byte("x"), Name: "x"}, ErrInvalid},
		"profile that is too large":      {Publish{Digest: DigestOf(make([]byte, MaxProfile+1)), Profile: make([]byte, MaxProfile+1), Name: "x"}, ErrInvalid},
		"release of another name":        {Publish{Digest: DigestOf(profileOf("web", "1")), Profile: profileOf("web", "1"), Name: "x"}, ErrConflict},
		"schema that is no JSON":         {Publish{Digest: DigestOf([]byte("x")), Profile: []byte("x"), Name: "x", Schema: []byte("{")}, ErrInvalid},
		"type twice":                     {Publish{Digest: DigestOf([]byte("x")), Profile: []byte("x"), Name: "x", Types: []string{"a", "a"}}, ErrInvalid},
		"too many partitions":            {Offer{Partitions: MaxPartitions + 1}, ErrInvalid},
		"too few partitions":             {Offer{Partitions: -1}, ErrInvalid},
		"label with a control character": {Offer{Labels: map[string]string{"x": "a\tb"}}, ErrInvalid},
		"label key with a capital":       {Offer{Labels: map[string]string{"X": "a"}}, ErrInvalid},
		"supply of an unknown computer":  {SetSupply{"p9", DigestOf(profileOf("web", "1")), SupplyAvailable}, ErrNotFound},
		"supply in an unknown state":     {SetSupply{"p1", DigestOf(profileOf("web", "1")), SupplyBuilding}, ErrInvalid},
		"token of the past":              {CreateToken{ID: "x", Digest: digestOfToken("x"), Role: RoleUser, Uses: 1, Expires: noon}, ErrInvalid},
		"token without uses":             {CreateToken{ID: "x", Digest: digestOfToken("x"), Role: RoleUser, Uses: 0, Expires: noon.Add(time.Hour)}, ErrInvalid},
		"token with a short digest":      {CreateToken{ID: "x", Digest: []byte("x"), Role: RoleUser, Uses: 1, Expires: noon.Add(time.Hour)}, ErrInvalid},
		"token with an unknown role":     {CreateToken{ID: "x", Digest: digestOfToken("x"), Role: "king", Uses: 1, Expires: noon.Add(time.Hour)}, ErrInvalid},
		"token for the year 10000":       {CreateToken{ID: "x", Digest: digestOfToken("x"), Role: RoleUser, Uses: 1, Expires: noon.AddDate(9000, 0, 0)}, ErrInvalid},
		"peer with a strange id":         {Admit{Open: true, Peer: "../x", PublicKey: []byte{1}, Name: "x"}, ErrInvalid},
		"peer without a key":             {Admit{Open: true, Peer: "p2", Name: "x"}, ErrInvalid},
		"peer with another's id":         {Admit{Open: true, Peer: "p1", PublicKey: []byte{1}, Name: "x"}, ErrConflict},
	} {
		t.Run(name, func(t *testing.T) {
			w := given(t, home)
			at := w.Advance(w.Index()+1, w.at)
			if _, err := w.Decide(tc.when, Context{at, AsPeer("p1")}); CodeOf(err) != tc.then {
				t.Errorf("err = %v (%q), want %q", err, CodeOf(err), tc.then)
			}
		})
	}
}

// TestWhatIsNoTextIsNotParsed makes sure that no such command is ordered:
// what the leader cannot parse it does not propose.
func TestWhatIsNoTextIsNotParsed(t *testing.T) {
	data, err := Encode(AsPeer("p1"), Request{Reference: "a\xff"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Parse(data); err == nil {
		t.Error("parsed")
	}
}

func TestNothingHappensBeforeTheMeshIsFounded(t *testing.T) {
	w := newWorld(t)
	if _, err := w.ask(System(), AssignSeat{"p1"}); CodeOf(err) != ErrUnavailable {
		t.Errorf("err = %v", err)
	}
}

func TestASliceDoesNotDecide(t *testing.T) {
	if _, err := NewPartial().Decide(Leave{}, Context{}); CodeOf(err) != ErrUnavailable {
		t.Errorf("err = %v", err)
	}
}

func TestSliceKeepsTokensThatAdmit(t *testing.T) {
	w := given(t, home+`
		p1 token t computer bob
		p1 admit p2 t
		p1 token joins computer bob
		p1 token asks user bob
		p1 token anns user ann
	`)
	v, err := w.Viewer("p2")
	if err != nil {
		t.Fatal(err)
	}
	s := NewPartial()
	for f := range w.FullFrames(v) {
		if _, err := s.Merge(f); err != nil {
			t.Fatal(err)
		}
	}
	if tok, ok := s.Token("joins"); !ok || tok.Digest != nil {
		t.Errorf("token that admits: %+v", tok)
	}
	if tok, ok := s.TokenByDigest(digestOfToken("asks")); !ok || tok.ID != "asks" {
		t.Errorf("token that asks: %+v", tok)
	}
	if tok, ok := s.Token("anns"); ok {
		t.Errorf("token of another: %+v", tok)
	}
}

func TestDestroyedInstancesAreForgotten(t *testing.T) {
	w := given(t, home)
	for range MaxDestroyed + 3 {
		w.run("p1 request a web 1")
		w.run("p1 destroy a")
		w.run("p1 report ann a destroyed")
	}
	if n := len(slices.Collect(w.AllInstances())); n != MaxDestroyed {
		t.Errorf("%d are kept, want %d", n, MaxDestroyed)
	}
	if i, ok := w.InstanceByReference("ann", "a"); !ok || !i.Settled() || i.Parameters != nil {
		t.Errorf("the last one is not shown: %+v", i)
	}
	if err := w.check(); err != nil {
		t.Error(err)
	}
}

func TestAddressesAreUsedAgainWhenAllWere(t *testing.T) {
	w := given(t, home+"p1 request a web 1\np1 destroy a\np1 report ann a destroyed\n")
	w.counters.Address = addresses - 1
	for _, want := range []string{"127.127.255.254", "127.64.0.1"} {
		out := w.run("p1 request x" + want[:6] + " web 1")
		if !strings.Contains(out, "at "+want) {
			t.Errorf("got %s want %s", out, want)
		}
	}
}

func TestSnapshotIsExact(t *testing.T) {
	w := given(t, home+"p1 request a web 1\np1 token t computer bob\n")
	var stream bytes.Buffer
	if err := w.WriteSnapshot(&stream); err != nil {
		t.Fatal(err)
	}
	whole := stream.Bytes()
	if s, err := ReadSnapshot(bytes.NewReader(whole)); err != nil || s.Hash() != w.Hash() || s.Index() != w.Index() {
		t.Fatalf("read: %v", err)
	}
	for n := range whole {
		if _, err := ReadSnapshot(bytes.NewReader(whole[:n])); err == nil {
			t.Fatalf("the first %d of %d bytes are taken for a snapshot", n, len(whole))
		}
		flipped := bytes.Clone(whole)
		flipped[n] ^= 0x10
		if s, err := ReadSnapshot(bytes.NewReader(flipped)); err == nil && s.Hash() != w.Hash() {
			t.Fatalf("byte %d of %d can be changed", n, len(whole))
		}
	}
	if _, err := ReadSnapshot(bytes.NewReader(append(whole, 0))); err == nil {
		t.Error("something may follow")
	}
}
