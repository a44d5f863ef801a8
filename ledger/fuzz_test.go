package ledger

import (
	"bytes"
	"testing"
	"time"
)

// FuzzParse parses whatever is found. It may be refused, but without a panic,
// and what is accepted is accepted again.
func FuzzParse(f *testing.F) {
	for _, c := range []Command{
		Found{Name: "home"},
		Offer{Partitions: 2, Labels: map[string]string{"a": "b"}},
		Leave{Force: true},
		Request{Reference: "a", Parameters: params("x", "1")},
		Request{Reference: "a", Needs: Needs{1000, 1 << 30, 1, 1e8}, Affinity: Affinity{[]Reference{"b"}, "site", []Reference{"c"}, "network"}, MaxPrice: 1},
		Request{Reference: "a", Parent: 1},
		Rename{1, "b"},
		Bang{1, "look"},
		CreateToken{Expires: noon, Scopes: []string{"read"}, Project: "acme"},
		SetMember{"acme", "ann", RoleOwner},
		SetQuota{"ann", Quota{}.With(QuotaInstances, 3)},
		DeleteProject{"acme"},
		Move{Instance: 1, Filter: map[string]string{"a": "b"}, DiscardData: true},
		EndKept{},
		SetState{Keep: new(time.Hour)},
		Request{Reference: "a", Shared: true, Scope: ScopePublic, Keep: new(time.Hour)},
		Report{Instances: []InstanceReport{{ID: 1, Ports: map[string]uint16{"x": 1}}}},
	} {
		data, err := Encode(AsPeer("p1"), c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, c, err := Parse(data)
		if err != nil {
			return
		}
		again, err := Encode(p, c)
		if err != nil {
			t.Fatal(err)
		}
		q, d, err := Parse(again)
		if err != nil {
			t.Fatalf("%#v: %v", c, err)
		}
		if last, err := Encode(q, d); err != nil || !bytes.Equal(last, again) {
			t.Fatalf("%#v became %#v: %v", c, d, err)
		}
		_, err = given(t, home).Decide(c, Context{noon, p})
		if err != nil && CodeOf(err) == "" {
			t.Errorf("a refusal without a code: %v", err)
		}
	})
}

func FuzzReadSnapshot(f *testing.F) {
	var stream bytes.Buffer
	if err := given(f, home).WriteSnapshot(&stream); err != nil {
		f.Fatal(err)
	}
	f.Add(stream.Bytes())
	f.Add(stream.Bytes()[:100])
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ReadSnapshot(bytes.NewReader(data))
		if err == nil {
			_ = roundTrip(t, s)
		}
	})
}

func FuzzMerge(f *testing.F) {
	w := given(f, home+"p1 request a web 1\np1 token t computer bob\n")
	for frame := range w.FullFrames(Viewer{Peer: "p1", Account: "ann", All: true}) {
		f.Add(mustEncode(frame))
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		var frame Frame
		if err := Unmarshal(data, &frame); err != nil {
			return
		}
		s := NewPartial()
		if _, err := s.Merge(frame); err != nil {
			return
		}
		for range s.Slice(Viewer{Peer: "p1", Account: "ann", All: true}) {
			continue
		}
		for range s.AllFrames() {
			continue
		}
	})
}

func FuzzParseReply(f *testing.F) {
	f.Add(EncodeReply(nil))
	f.Add(EncodeReply(refuse(ErrConflict, "x")))
	f.Fuzz(func(_ *testing.T, data []byte) { _ = ParseReply(data) })
}
