package datagram_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slapmesh/slapmesh/mesh/datagram"
)

func Example() {
	var stream bytes.Buffer
	for _, said := range []string{"one", "", "three"} {
		if err := datagram.Write(&stream, []byte(said)); err != nil {
			panic(err)
		}
	}
	b := make([]byte, datagram.Max)
	for {
		n, err := datagram.Read(&stream, b)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%q\n", b[:n])
	}
	// Output:
	// "one"
	// ""
	// "three"
	// EOF
}

// What programs say on a socket reaches a service at the other end, and what it
// answers reaches the one that asked.
func TestCarried(t *testing.T) {
	service := listen(t)
	go func() {
		b := make([]byte, datagram.Max)
		for {
			n, from, err := service.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = service.WriteTo(append([]byte("you say "), b[:n]...), from)
		}
	}()
	var carried atomic.Uint64
	entrance := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- datagram.Serve(ctx, entrance, func(context.Context) (io.ReadWriteCloser, error) {
			here, there := net.Pipe()
			to, err := net.Dial("udp", service.LocalAddr().String()) //nolint:noctx // at once
			if err != nil {
				return nil, err
			}
			go datagram.Carry(there, to, time.Minute, &carried)
			return here, nil
		}, time.Minute, func(err error) { t.Error(err) })
	}()
	large := strings.Repeat("x", 20_000)
	var programs []net.Conn
	for range 3 {
		c, err := net.Dial("udp", entrance.LocalAddr().String()) //nolint:noctx // at once
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		programs = append(programs, c)
	}
	b := make([]byte, datagram.Max)
	for round := range 3 {
		for n, c := range programs {
			said := fmt.Sprint(n, round, large[:round*10_000])
			if _, err := io.WriteString(c, said); err != nil {
				t.Fatal(err)
			}
			_ = c.SetReadDeadline(time.Now().Add(time.Minute))
			if k, err := c.Read(b); err != nil || string(b[:k]) != "you say "+said {
				t.Errorf("%v, %.40q, want %.40q", err, b[:k], said)
			}
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if got, want := carried.Load(), uint64(9*(3+3+8)+2*3*30_000); got != want {
		t.Errorf("%d bytes were carried, want %d", got, want)
	}
}

func listen(t *testing.T) net.PacketConn {
	t.Helper()
	l, err := net.ListenPacket("udp", "127.0.0.1:0") //nolint:noctx // at once
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// A session on which nothing is said ends, and no sooner.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stream, there := net.Pipe()
		socket, inside := net.Pipe()
		began := time.Now()
		done := make(chan struct{})
		go func() {
			datagram.Carry(stream, socket, time.Minute, nil)
			close(done)
		}()
		go func() { _, _ = io.Copy(io.Discard, inside) }()
		for range 3 {
			time.Sleep(50 * time.Second)
			if err := datagram.Write(there, []byte("still here")); err != nil {
				t.Fatal(err)
			}
		}
		<-done
		if got := time.Since(began); got != 210*time.Second {
			t.Errorf("ended after %v", got)
		}
		_, _ = there.Close(), inside.Close()
	})
}

// Datagrams are framed one by one, whatever the stream says.
func FuzzRead(f *testing.F) {
	f.Add([]byte("\x00\x03one\x00\x00"))
	f.Add([]byte("\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, b := bytes.NewReader(data), make([]byte, datagram.Max)
		var again bytes.Buffer
		for {
			n, err := datagram.Read(r, b)
			if err != nil {
				break
			}
			if err := datagram.Write(&again, b[:n]); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.HasPrefix(data, again.Bytes()) {
			t.Errorf("%x became %x", data, again.Bytes())
		}
	})
}
