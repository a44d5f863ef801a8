package main_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// Whatever strangers send to a peer's ports disturbs nobody: it answers, it
// stays in its mesh, it takes newcomers, and its log does not fill up.
func TestGarbageDisturbsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, here)
	a := w.mesh("5", "a")[0]
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same garbage each time
	before := logSize(t, a)
	for n := range 3000 {
		throw(t, "udp", a.status.Listen, garbage(random, n))
	}
	for n := range 100 {
		throw(t, "tcp", a.status.API, garbage(random, n))
		throw(t, "unix", a.dir+"/slapd.sock", garbage(random, n))
	}
	for _, text := range []string{
		"GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /v1/status HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer slapd1-x\r\n\r\n",
		"POST /v1/instances HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n{",
	} {
		if answer := throw(t, "tcp", a.status.API, []byte(text)); !bytes.HasPrefix(answer, []byte("HTTP/1.1 4")) {
			t.Errorf("%q: answer %.200q", text, answer)
		}
	}
	if grown := logSize(t, a) - before; grown > 64<<10 {
		t.Errorf("the log grew by %d bytes", grown)
	}
	b := w.start("b", "join", a.status.Listen, "--token", a.token(protocol.TokenInput{})).up()
	b.sees(2)
	if _, err := b.stopped(0); err != nil {
		t.Error(err)
	}
}

// garbage is the nth of many packets: noise, or something that begins like
// what a peer expects.
func garbage(random *rand.Rand, n int) []byte {
	data := make([]byte, random.IntN(1400))
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	for _, beginning := range [][]byte{nil, {0xc0, 0, 0, 0, 1, 8}, {0x40}, []byte("GET /"), {0x16, 3, 1}, []byte("POST /v1/instances HTTP/1.1\r\nHost: localhost\r\n\r\n{")} {
		if n--; n%6 == 0 {
			return append(beginning, data...)
		}
	}
	return data
}

// throw sends data to an address, and returns the beginning of what comes
// back within a moment, where something must.
func throw(t *testing.T, network, address string, data []byte) []byte {
	t.Helper()
	conn, err := net.DialTimeout(network, address, 5*time.Second) //nolint:noctx // it has a time of its own
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // garbage
	_, _ = conn.Write(data)
	if network == "udp" {
		return nil
	}
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(data, []byte("GET /v1")) && !bytes.HasPrefix(data, []byte("POST /v1")) {
		return nil // cut off
	}
	answer := make([]byte, 4096)
	n, _ := conn.Read(answer)
	return answer[:n]
}

func logSize(t *testing.T, p *peer) int64 {
	t.Helper()
	info, err := os.Stat(p.log)
	if err != nil {
		t.Fatal(fmt.Errorf("log of %s: %w", p.name, err))
	}
	return info.Size()
}
