package supervisor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"
)

func FuzzRequest(f *testing.F) {
	spec := oneService()
	for _, r := range []request{
		{Version: 1, Call: callStatus},
		{Version: 1, Call: callApply, Spec: &spec},
		{Version: 1, Call: callExec, Exec: &execRequest{Argv: []string{"sh"}}},
		{Version: 1, Call: callStop, Grace: time.Second},
	} {
		var b bytes.Buffer
		if err := writeFrame(&b, r); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
		f.Add(b.Bytes()[:b.Len()/2])
	}
	f.Add(binary.BigEndian.AppendUint32(nil, 1<<31))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r request
		if err := readFrame(bytes.NewReader(b), &r); err != nil {
			return
		}
		if r.Spec != nil {
			_ = r.Spec.Validate("/data")
		}
		var again bytes.Buffer
		if err := writeFrame(&again, r); err != nil {
			t.Fatal(err)
		}
		var second request
		if err := readFrame(&again, &second); err != nil {
			t.Fatalf("what we wrote cannot be read: %v", err)
		}
	})
}

func FuzzReply(f *testing.F) {
	for _, r := range []reply{
		{Error: "no"},
		{Done: true, Code: 3},
		{Stream: streamOut, Data: []byte("x")},
		{Status: &Status{Phase: PhaseStarted, Services: []ServiceStatus{{Name: "a", Since: time.Unix(1, 0)}}}},
	} {
		var b bytes.Buffer
		if err := writeFrame(&b, r); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		var r reply
		_ = readFrame(bytes.NewReader(b), &r)
	})
}

func FuzzMemory(f *testing.F) {
	b, err := encoding.Marshal(memory{Steps: map[string]string{"a": "b"}, Files: []string{"/data/a"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("garbage"))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = parseMemory(b) })
}

func TestReadFrameBounds(t *testing.T) {
	var r reply
	if err := readFrame(bytes.NewReader(nil), &r); !errors.Is(err, io.EOF) {
		t.Errorf("nothing: %v", err)
	}
	if err := readFrame(bytes.NewReader([]byte{0, 0, 0, 9, 1}), &r); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("truncated: %v", err)
	}
	if err := readFrame(bytes.NewReader([]byte{0xff, 0xff, 0xff, 0xff}), &r); err == nil {
		t.Error("a huge message was accepted")
	}
}
