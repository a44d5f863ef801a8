package tiers

import (
	"bytes"
	"fmt"
	"io"

	"github.com/slapmesh/slapmesh/mesh/frame"
)

// Frames are one of each kind, as sent.
func Frames() [][]byte {
	var out [][]byte
	for _, v := range []any{
		request{Format: format, Op: opTell, View: true, From: 7, To: 9, More: true, Entries: []Entry{{ID: "a", Flags: 3, Seq: 5}}},
		request{Format: format, Op: opAttach, Take: true, Follow: true, Descriptor: []byte{1, 2}, Seq: 4, Hidden: true, Have: 3},
		answer{Format: format, Verdict: Held, Pool: [][]byte{{1}}, Have: 5, Want: []string{"a"}},
		descriptors{All: [][]byte{{1, 2, 3}}},
	} {
		var b bytes.Buffer
		if err := frame.Write(&b, v); err != nil {
			panic(err)
		}
		out = append(out, b.Bytes())
	}
	return out
}

// ReadFrames reads one as each kind.
func ReadFrames(r io.ReadSeeker) {
	for _, v := range []interface{ check() error }{&request{}, &answer{}, &descriptors{}} {
		_, _ = r.Seek(0, io.SeekStart)
		_ = read(r, v)
	}
}

// ReplayList changes a table as the steps say, and has a receiver hear of it
// in parts, some of which are lost, or come twice. In the end both agree.
func ReplayList(steps []byte) error {
	sender, receiver := newTable(1000), &told{peers: map[string]uint64{}}
	send := func(parts int, lose bool) {
		from, entries := sender.since(receiver.have)
		to := sender.version
		receiver.begin()
		for {
			n := min(len(entries), parts)
			part := entries[:n]
			entries = entries[n:]
			_, _ = receiver.take(from, to, len(entries) > 0, part)
			if lose || len(entries) == 0 {
				return
			}
		}
	}
	for _, s := range steps {
		id := fmt.Sprint("peer", s%32)
		switch {
		case s == 0xff: // it is started again
			sender = newTable(sender.version + 1000)
		case s == 0xfe:
			sender.tombs = maxTombs + 1
			sender.bury()
		case s >= 0xc0:
			send(1+int(s%5), s%2 == 0)
		case s >= 0x80:
			sender.set(id, 0, uint64(s))
		default:
			sender.set(id, flagAlive, uint64(s))
		}
	}
	sender.set("last", flagAlive, 1)
	send(3, false)
	for id, s := range sender.peers {
		if receiver.peers[id] != s.flags {
			return fmt.Errorf("%s: %d was told, %d was heard", id, s.flags, receiver.peers[id])
		}
	}
	for id := range receiver.peers {
		if sender.peers[id].flags == 0 {
			return fmt.Errorf("%s is not in the list", id)
		}
	}
	return nil
}
