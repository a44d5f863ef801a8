package supervisor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// errNowhere says that no partition runs on this system.
var errNowhere = errors.New("partitions run on Linux, macOS and FreeBSD, not on Windows")

// Main says that there are no supervisors on this system.
func Main([]string) int {
	fmt.Fprintln(os.Stderr, "slapd: supervisor:", errNowhere)
	return 1
}

// socketPath names the socket of a supervisor, which never runs here.
func socketPath(string) (path string, done func(), err error) { return "", nil, ErrNotRunning }

func (c *Client) owner(*net.UnixConn) (int, error) { return 0, ErrNotRunning }

// Descriptors are not passed between processes of this system.

func writeDescriptor(*net.UnixConn, any, syscall.Conn) error { return errNowhere }

func readDescriptor(*net.UnixConn, any) (*os.File, error) { return nil, errNowhere }

func connectionOf(*os.File, bool) (net.Conn, error) { return nil, errNowhere }

func socketOf(*os.File) (net.PacketConn, error) { return nil, errNowhere }

func listenerOf(*os.File) (*net.TCPListener, error) { return nil, errNowhere }
