package remote

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
)

func FuzzReadFrame(f *testing.F) {
	var b bytes.Buffer
	if err := writeFrame(&b, ledger.Frame{Index: 7, Full: true, Records: []ledger.Record{{Table: 1}}}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:5])
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := readFrame(bytes.NewReader(data))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := writeFrame(&again, frame); err != nil {
			t.Fatal(err)
		}
		if _, err := readFrame(&again); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzParseKept(f *testing.F) {
	dir := f.TempDir()
	if err := keep(dir, "p1", ledger.NewPartial()); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(keptMagic + "p1\n"))
	f.Add([]byte{})
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = parseKept(data, "p1")
	})
}

type noLog struct{}

func (noLog) View() *ledger.State { return ledger.NewState() }

func (noLog) ProposeAll(_ context.Context, commands [][]byte) (uint64, [][]byte, error) {
	return 1, make([][]byte, len(commands)), nil
}

func FuzzCall(f *testing.F) {
	for _, it := range []item{{Kind: "leave", Data: []byte{0xa0}}, {Kind: "offer", Data: []byte{0xa1, 1, 2}, Token: []byte("x")}, {Kind: "none"}} {
		data, err := ledger.Marshal(call{[]item{it}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	local := &Local{
		Ledger: noLog{}, Log: noLog{},
		NotLeader: func(error) (ledger.PeerID, bool) { return "", false },
		Clock:     func() time.Time { return time.Unix(0, 0) },
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var c call
		if err := readBody(bytes.NewReader(data), &c); err != nil {
			return
		}
		if got := local.propose(t.Context(), "p1", c.Items); len(got) != len(c.Items) {
			t.Fatalf("%d results to %d commands", len(got), len(c.Items))
		}
	})
}

func FuzzQuestion(f *testing.F) {
	for _, q := range []question{{Request: []byte{0xa0}}, {Since: 1, Request: []byte{0xa1, 2, 0x61, 'a'}, Publish: []byte{0xa0}, Token: []byte("x")}} {
		data, err := ledger.Marshal(q)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	local := &Local{Ledger: noLog{}, Log: noLog{}, Clock: func() time.Time { return time.Unix(0, 0) }}
	f.Fuzz(func(t *testing.T, data []byte) {
		var q question
		if err := readBody(bytes.NewReader(data), &q); err != nil {
			return
		}
		if _, err := local.quote("p1", q); ledger.CodeOf(err) == "" {
			t.Errorf("%v: a state that is not founded quotes", err)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	data, err := ledger.Marshal(answer{[]result{{Index: 1}, {NotLeader: &notLeader{"p1"}}, {Fault: "x"}, {Reply: ledger.EncodeReply(ledger.ErrConflict)}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(_ *testing.T, data []byte) {
		var a answer
		if err := readBody(bytes.NewReader(data), &a); err != nil {
			return
		}
		for _, r := range a.Results {
			_ = ledger.ParseReply(r.Reply)
		}
	})
}
