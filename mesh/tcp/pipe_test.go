package tcp_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh/tcp"
)

// Both ends greet, packets arrive whole and in order, and closing one end ends
// both.
func TestPipe(t *testing.T) {
	a, b := net.Pipe()
	x, y := tcp.NewPipe(a), tcp.NewPipe(b)
	go func() {
		if label, err := x.Greet(1); label != 2 || err != nil {
			t.Errorf("greeted by %d, %v", label, err)
		}
		for i := range 100 {
			x.Send(fmt.Append(nil, "packet ", i))
		}
		x.Send(nil)
		x.Send(make([]byte, tcp.MaxPacket+1))
		_ = x.Run(context.Background(), time.Now, func([]byte) {})
	}()
	label, err := func() (uint64, error) {
		// net.Pipe has no buffer: the other end writes first.
		var b8 [8]byte
		if _, err := b.Read(b8[:]); err != nil {
			return 0, err
		}
		_, err := b.Write([]byte{0, 0, 0, 0, 0, 0, 0, 2})
		return uint64(b8[7]), err
	}()
	if label != 1 || err != nil {
		t.Fatalf("greeted by %d, %v", label, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	err = y.Run(ctx, time.Now, func(packet []byte) {
		if want := fmt.Sprint("packet ", n); string(packet) != want {
			t.Errorf("got %q, want %q", packet, want)
		}
		if n++; n == 100 {
			cancel()
		}
	})
	if n != 100 {
		t.Errorf("%d packets came, then %v", n, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 1, 'x', 0, 2, 'y', 'z'})
	f.Add([]byte{0, 0})
	f.Add([]byte{0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		var again []byte
		err := tcp.Read(bytes.NewReader(data), func(packet []byte) {
			again = append(again, byte(len(packet)>>8), byte(len(packet)))
			again = append(again, packet...)
		})
		if err == nil || !bytes.HasPrefix(data, again) {
			t.Errorf("%x was read as %x, %v", data, again, err)
		}
	})
}
