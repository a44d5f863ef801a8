package consensus_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/consensus"
)

func TestEntryFormat(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 5, time.UTC)
	data, err := consensus.EncodeEntry(at, [][]byte{[]byte("ab"), {}})
	if err != nil {
		t.Fatal(err)
	}
	// {1: 1, 2: nanoseconds, 3: [h'6162', h'']}
	want := "\xa3\x01\x01\x02\x1b\x18\xb9\x9f\x06\x6b\x90\x00\x05\x03\x82\x42ab\x40"
	if string(data[:5]) != want[:5] || string(data[14:]) != "\x82\x42ab\x40" {
		t.Errorf("entry %x", data)
	}
	gotAt, commands, err := consensus.DecodeEntry(data)
	if err != nil || !gotAt.Equal(at) || len(commands) != 2 || string(commands[0]) != "ab" {
		t.Errorf("decoded %v %q %v", gotAt, commands, err)
	}
}

func FuzzDecodeEntry(f *testing.F) {
	good, err := consensus.EncodeEntry(time.Unix(1, 2), [][]byte{[]byte("x"), nil, make([]byte, 300)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte{})
	f.Add([]byte("\xa3\x01\x02\x02\x00\x03\x80"))
	f.Add([]byte("\xa2\x01\x01\x01\x01"))
	f.Add([]byte("\xbf\x01\x01\xff"))
	f.Add([]byte("\xa1\x03\x9b\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		at, commands, err := consensus.DecodeEntry(data)
		if err != nil {
			return
		}
		again, err := consensus.EncodeEntry(at, commands)
		if err != nil {
			t.Fatal(err)
		}
		at2, commands2, err := consensus.DecodeEntry(again)
		if err != nil || !at2.Equal(at) || !slices.EqualFunc(commands, commands2, bytes.Equal) {
			t.Errorf("%v %q, again %v %q: %v", at, commands, at2, commands2, err)
		}
	})
}

func FuzzReadGreeting(f *testing.F) {
	f.Add([]byte("\x01\x03a#1"))
	f.Add([]byte("\x01\xffa#1"))
	f.Add([]byte("\x02\x00"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		id, err := consensus.ReadGreeting(data)
		if err == nil && !strings.HasPrefix(string(data[2:]), id) {
			t.Errorf("%q read from %q", id, data)
		}
	})
}

func FuzzSplitSeat(f *testing.F) {
	f.Add("a#1")
	f.Add("#")
	f.Add("a#-1")
	f.Add("a#1#2")
	f.Add("a#18446744073709551616")
	f.Fuzz(func(t *testing.T, id string) {
		peer, seat := consensus.SplitSeat(id)
		if peer == "" {
			return
		}
		if p, s := consensus.SplitSeat(consensus.SeatID(peer, seat)); p != peer || s != seat {
			t.Errorf("%q: %q %d, then %q %d", id, peer, seat, p, s)
		}
	})
}
