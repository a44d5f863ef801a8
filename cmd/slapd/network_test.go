package main_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A network is where peers run: a network namespace of its own, which ends
// with the last process in it, or, for who may not make one, the computer's.
type network struct {
	namespace *os.File
	mounts    *os.File // a mount namespace for what is started here, if there is one
}

// here is the computer's own network.
var here = &network{}

// newNetwork makes a network with a loopback and nothing else. Instances get
// the same addresses in every mesh, so tests with real ones are kept apart.
func newNetwork(tb testing.TB) *network {
	tb.Helper()
	if os.Getuid() != 0 {
		return here
	}
	n, err := makeNetwork()
	if err != nil {
		tb.Logf("no network namespaces (%v): the computer's own network is used", err)
		return here
	}
	tb.Cleanup(func() { _ = n.namespace.Close() })
	n.ip(tb, "link", "set", "lo", "up")
	return n
}

func makeNetwork() (*network, error) {
	n := &network{}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this function
		made <- func() (err error) {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("unshare: %w", err)
			}
			n.namespace, err = os.Open("/proc/thread-self/ns/net")
			return err
		}()
	}()
	return n, <-made
}

// do calls f on a thread in the network. What f starts or opens is there.
func (n *network) do(f func() error) error {
	if n.namespace == nil {
		return f()
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this function
		if err := unix.Setns(int(n.namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter network: %w", err)
			return
		}
		if err := n.enterMounts(); err != nil {
			done <- fmt.Errorf("enter mounts: %w", err)
			return
		}
		done <- f()
	}()
	return <-done
}

// keepMounts makes a mount namespace for what is started in the network from
// now on, so that nothing is ever mounted on the computer itself.
func (n *network) keepMounts() error {
	return n.do(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("make mounts private: %w", err)
		}
		n.mounts, err = os.Open("/proc/thread-self/ns/mnt")
		return err
	})
}

// enterMounts puts this thread, which is locked, into the mount namespace.
func (n *network) enterMounts() error {
	if n.mounts == nil {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_FS); err != nil { // threads that share a root cannot enter
		return err
	}
	return unix.Setns(int(n.mounts.Fd()), unix.CLONE_NEWNS)
}

// ip runs the program of that name in the network.
func (n *network) ip(tb testing.TB, args ...string) {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), "ip", args...)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	var out []byte
	err := n.do(func() (err error) {
		out, err = cmd.CombinedOutput()
		return err
	})
	if err != nil {
		tb.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// dial connects to a TCP address in the network.
func (n *network) dial(address string) (conn net.Conn, err error) {
	err = n.do(func() (err error) {
		conn, err = net.DialTimeout("tcp", address, 5*time.Second) //nolint:noctx // it has a time of its own
		return err
	})
	return conn, err
}

// talk sends lines to a TCP address and returns the lines that answer the
// last of them, up to one that ends with the given text.
func (n *network) talk(address, end string, lines ...string) (string, error) {
	conn, err := n.dial(address)
	if err != nil {
		return "", err
	}
	defer conn.Close() //nolint:errcheck // all is read
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return "", err
	}
	if _, err := conn.Write([]byte(strings.Join(lines, "\r\n") + "\r\n")); err != nil {
		return "", err
	}
	var answer strings.Builder
	in := bufio.NewScanner(conn)
	in.Buffer(nil, 8<<20)
	for in.Scan() {
		if line := in.Text(); strings.HasSuffix(line, end) {
			answer.WriteString(line)
			return answer.String(), nil
		}
		answer.WriteString(in.Text() + "\n")
	}
	return answer.String(), fmt.Errorf("%s ended the conversation", address)
}
