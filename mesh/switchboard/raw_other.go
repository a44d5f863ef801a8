//go:build !linux || !(amd64 || arm64)

package switchboard

import (
	"net"

	"golang.org/x/net/ipv4"
)

// raw is there for Linux only.
type raw struct{}

func newRaw(*net.UDPConn) *raw { return nil }

func (*raw) read([]ipv4.Message, int) (int, error) { panic("switchboard: not here") }

func (*raw) write(_, _ []byte, _ *net.UDPAddr) (bool, error) { panic("switchboard: not here") }
