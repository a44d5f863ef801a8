//go:build unix

package supervisor

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// check asks all checks in turn, each within the timeout.
func (h *inside) check(checks []Check, env []string, timeout time.Duration, done func(error)) {
	go func() {
		for _, c := range checks {
			if err := h.ask(c, env, timeout); err != nil {
				done(err)
				return
			}
		}
		done(nil)
	}()
}

// ask makes one check.
func (h *inside) ask(c Check, env []string, timeout time.Duration) error {
	switch {
	case c.TCP != "":
		return h.askTCP(c.TCP, timeout)
	case c.HTTP != "":
		return h.askHTTP(c.HTTP, timeout)
	default:
		return h.askExec(c.Exec, env, timeout)
	}
}

func (h *inside) askTCP(address string, timeout time.Duration) error {
	conn, err := h.dial(address, timeout)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", address, plain(err))
	}
	return conn.Close()
}

// askHTTP speaks just enough HTTP/1.0 to see a status line; net/http would
// double the memory of a supervisor.
func (h *inside) askHTTP(address string, timeout time.Duration) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), "80")
	}
	conn, err := h.dial(host, timeout)
	if err != nil {
		return fmt.Errorf("get %s: %w", address, plain(err))
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(h.clock().Add(timeout))
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", u.RequestURI(), u.Host); err != nil {
		return fmt.Errorf("get %s: %w", address, plain(err))
	}
	line, err := bufio.NewReaderSize(conn, 1024).ReadSlice('\n')
	if err != nil {
		return fmt.Errorf("get %s: %w", address, plain(err))
	}
	if err := statusLine(string(line)); err != nil {
		return fmt.Errorf("get %s: %w", address, err)
	}
	return nil
}

// statusLine says what is wrong with an answer that begins with line.
func statusLine(line string) error {
	proto, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	code, _, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(code)
	if err != nil || !strings.HasPrefix(proto, "HTTP/") {
		return errors.New("does not speak HTTP")
	}
	if n < 200 || n >= 400 {
		return errors.New(rest)
	}
	return nil
}

func (h *inside) askExec(argv, env []string, timeout time.Duration) error {
	said := new(tail)
	p, err := h.launch(command{argv: argv, env: env}, said)
	if err != nil {
		return err
	}
	late := time.NewTimer(timeout)
	defer late.Stop()
	select {
	case <-p.ended:
	case <-late.C:
		p.signal(syscall.SIGKILL)
		return errLate
	}
	if why := explainEnd(p.reason(), said); why != "" {
		return errors.New(why)
	}
	return nil
}
