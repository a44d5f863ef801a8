package protocol_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/protocol"
	"github.com/slapmesh/slapmesh/protocol/protocoltest"
)

func ExampleWait() {
	ctx := context.Background()
	service := protocoltest.New().As("ann", false)
	if _, err := service.Request(ctx, protocol.RequestInput{Reference: "db1", Release: "mariadb"}); err != nil {
		fmt.Println(err)
	}
	db, err := protocol.Wait(ctx, service, protocol.Ref{Reference: "db1"}, func(i protocol.Instance) {
		fmt.Printf("%s: %q\n", i.State, i.Reason)
	})
	fmt.Println(db.Connection["url"], err)
	// Output:
	// waiting: ""
	// building: "unpack 12 of 80 packages"
	// starting: "first promise"
	// started: ""
	// mysql://app:secret@127.64.0.1:3306/app <nil>
}

func TestFrames(t *testing.T) {
	var wire bytes.Buffer
	w := protocol.NewFrameWriter(&wire)
	large := bytes.Repeat([]byte("x"), 2*protocol.MaxFrame+1)
	if _, err := w.Stream(protocol.FrameStdout).Write(large); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(protocol.FramePing, nil); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for range 3 {
		f, err := protocol.ReadFrame(&wire)
		if err != nil || f.Kind != protocol.FrameStdout || len(f.Data) > protocol.MaxFrame {
			t.Fatal(f.Kind, len(f.Data), err)
		}
		got = append(got, f.Data...)
	}
	if !bytes.Equal(got, large) {
		t.Error("not what was sent")
	}
	if f, err := protocol.ReadFrame(&wire); err != nil || f.Kind != protocol.FramePing || len(f.Data) != 0 {
		t.Error(f, err)
	}
	if _, err := protocol.ReadFrame(&wire); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x02{}"))
	f.Add([]byte("\x02\xff\xff\xff\xff"))
	f.Add([]byte("\x08\x00\x00\x00\x00\x06\x00\x00\x00\x010"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, wire []byte) {
		in := bytes.NewReader(wire)
		var again bytes.Buffer
		w := protocol.NewFrameWriter(&again)
		for {
			before := len(wire) - in.Len()
			frame, err := protocol.ReadFrame(in)
			if err != nil {
				return
			}
			again.Reset()
			if err := w.Write(frame.Kind, frame.Data); err != nil {
				t.Fatal(err)
			}
			if read := wire[before : len(wire)-in.Len()]; !bytes.Equal(read, again.Bytes()) {
				t.Fatalf("%x was read and %x is written", read, again.Bytes())
			}
		}
	})
}

func TestProblem(t *testing.T) {
	refused := protocol.Problem{Status: 404, Detail: "no db1", Code: protocol.ErrNotFound}.Err()
	if !errors.Is(refused, protocol.ErrNotFound) || refused.Error() != "no db1" {
		t.Error(refused)
	}
	broken := protocol.Problem{Title: "Internal Server Error", Status: 500}.Err()
	if protocol.CodeOf(broken) != "" || broken.Error() != "slapd: Internal Server Error" {
		t.Error(broken)
	}
	if got := protocol.CodeOf(fmt.Errorf("x: %w", protocol.Errorf(protocol.ErrInternal, "panic"))); got != "" {
		t.Errorf("an internal fault has code %q", got)
	}
	if got := (&protocol.Error{Code: protocol.ErrConflict}).Error(); got != "conflict" {
		t.Error(got)
	}
}

func TestCheck(t *testing.T) {
	many := map[string]string{}
	for i := range 100 {
		many[fmt.Sprint(i)] = ""
	}
	for _, tc := range []struct {
		name string
		in   protocol.RequestInput
		want string // "" is accepted
	}{
		{"usual", protocol.RequestInput{Reference: "db1", Release: "mariadb"}, ""},
		{"letters of the world", protocol.RequestInput{Reference: "données/été 2"}, ""},
		{"nothing", protocol.RequestInput{}, "reference is missing"},
		{"line feed", protocol.RequestInput{Reference: "a\nb"}, "do not print"},
		{"not UTF-8", protocol.RequestInput{Reference: "a\xff"}, "do not print"},
		{"release", protocol.RequestInput{Reference: "a", Release: strings.Repeat("r", 1025)}, "release has 1025 bytes"},
		{"type", protocol.RequestInput{Reference: "a", Type: strings.Repeat("r", 65)}, "type has 65 bytes"},
		{"filters", protocol.RequestInput{Reference: "a", Filter: many}, "100 filters"},
		{"parameter", protocol.RequestInput{Reference: "a", Parameters: map[string]json.RawMessage{"": nil}}, "parameter name"},
		{"state", protocol.RequestInput{Reference: "a", State: "up"}, "none of started"},
	} {
		err := tc.in.Check()
		if (err == nil) != (tc.want == "") || (err != nil && (!strings.Contains(err.Error(), tc.want) || !errors.Is(err, protocol.ErrInvalid))) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}
