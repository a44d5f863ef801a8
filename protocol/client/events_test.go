package client

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestEventReader(t *testing.T) {
	r := newEventReader(strings.NewReader(": alive\n\nevent: instance\ndata: {\"a\":1}\n\ndata:x\r\ndata: y\r\n\r\nevent: lost\n\nid: 3\ndata\n\ndata: cut"))
	var got []string
	for {
		e, err := r.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.name+"="+string(e.data))
	}
	if s := strings.Join(got, "|"); s != "instance={\"a\":1}|message=x\ny|message=" {
		t.Errorf("%q", s)
	}
}

func FuzzEventReader(f *testing.F) {
	f.Add("event: instance\ndata: {}\n\n")
	f.Add(": alive\n\n\n\ndata")
	f.Add("data:\xff\n\nevent\n:\n")
	f.Fuzz(func(t *testing.T, wire string) {
		r := newEventReader(strings.NewReader(wire))
		for range len(wire) + 1 {
			e, err := r.next()
			if err != nil {
				return
			}
			if len(e.data) > len(wire) {
				t.Fatal("more data than there was")
			}
		}
		t.Fatal("more events than lines")
	})
}
