package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/mesh/datagram"
	"github.com/slapmesh/slapmesh/protocol"
)

const (
	// connectPatience bounds how long a connection may take to be made.
	connectPatience = 20 * time.Second
	// connectMax is how many connections are carried at a time.
	connectMax = 1024
)

func connectVerb() *verb {
	return &verb{
		name: "connect", args: "REFERENCE [PORT]", min: 1, max: 2, brief: "reach a port of an instance from here",
		about: "A port on this computer leads to the instance's, wherever that runs, until\n" +
			"interrupted; any number of programs may connect. PORT is a name or a number; it may\n" +
			"be left out where there is only one. A port of UDP is one here too. With --stdio the one connection is standard\n" +
			"input and output, as programs want that take a ProxyCommand.",
		options: func() []cli.Flag {
			return []cli.Flag{
				&cli.StringFlag{Name: "listen", Usage: "listen on `HOST:PORT`; port 0 picks one", Value: "127.0.0.1:0"},
				&cli.BoolFlag{Name: "stdio", Usage: "connect standard input and output, once"},
				accountFlag(),
			}
		},
		examples: []string{
			"slapd connect db1",
			"slapd connect shop/db mysql --listen 127.0.0.1:3306",
			"slapd connect cache1 11211 --stdio",
		},
		run: func(ctx context.Context, i *invocation) error {
			if i.Bool("stdio") && (i.IsSet("listen") || i.Bool("json")) {
				return usagef("--stdio: nothing is listened on, and nothing printed but what the instance says")
			}
			service, err := i.service()
			if err != nil {
				return err
			}
			instance, err := service.Instance(ctx, i.ref())
			if err != nil {
				return err
			}
			named := ""
			if len(i.args) > 1 {
				named = i.args[1]
			}
			port, err := instance.Port(named)
			if err != nil {
				return err
			}
			dial := func(ctx context.Context) (protocol.Conn, error) {
				ctx, cancel := context.WithTimeout(ctx, connectPatience)
				defer cancel()
				return service.Connect(ctx, i.ref(), protocol.ConnectInput{Port: port.String()})
			}
			switch {
			case i.Bool("stdio") && port.UDP:
				return usagef("--stdio: %s is a port of UDP, and standard input has no datagrams: leave --stdio out", port)
			case port.UDP:
				return i.connectPackets(ctx, instance, port, dial)
			case i.Bool("stdio"):
				return i.connectStdio(ctx, dial)
			}
			return i.connectListen(ctx, instance, port, dial)
		},
	}
}

// connectStdio carries standard input and output until the instance ends the
// connection.
func (i *invocation) connectStdio(ctx context.Context, dial func(context.Context) (protocol.Conn, error)) error {
	c, err := dial(ctx)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, c.Reset)()
	go func() { // ends with its input, or with the program
		if _, err := io.Copy(c, i.In); err == nil {
			_ = c.CloseWrite() // if the instance is gone, reading says so
		}
	}()
	_, err = io.Copy(i.Out, c)
	switch {
	case ctx.Err() != nil:
		return nil
	case errors.Is(err, syscall.ECONNRESET):
		return protocol.Errorf(protocol.ErrUnavailable, "the connection was reset, by the instance or on the way there")
	case err == nil:
		err = c.Close()
	}
	return err
}

// connectListen carries the connections of a port of this computer until it is
// interrupted.
func (i *invocation) connectListen(ctx context.Context, instance protocol.Instance, port protocol.Port, dial func(context.Context) (protocol.Conn, error)) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", i.String("listen"))
	if err != nil {
		return i.notListening(err)
	}
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	if err := i.tellConnect(instance, port, l.Addr().String()); err != nil {
		return err
	}
	places := make(chan struct{}, connectMax)
	var carrying sync.WaitGroup
	defer carrying.Wait()
	for {
		conn, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("accept: %w", err)
		}
		c := resettable{conn.(*net.TCPConn)}
		select {
		case places <- struct{}{}:
		default:
			fmt.Fprintf(i.Err, "slapd connect: %d connections are open: the next one is refused\n", connectMax)
			c.Reset()
			continue
		}
		carrying.Go(func() {
			defer func() { <-places }()
			defer context.AfterFunc(ctx, c.Reset)()
			to, err := dial(ctx)
			if err != nil {
				if ctx.Err() == nil {
					fmt.Fprintf(i.Err, "slapd connect: %s\n", oneLine(strings.TrimPrefix(err.Error(), "connect ")))
				}
				c.Reset()
				return
			}
			defer context.AfterFunc(ctx, to.Reset)()
			protocol.Carry(c, to)
		})
	}
}

// connectPackets carries what is said to a UDP port of this computer until it is
// interrupted.
func (i *invocation) connectPackets(ctx context.Context, instance protocol.Instance, port protocol.Port, dial func(context.Context) (protocol.Conn, error)) error {
	socket, err := new(net.ListenConfig).ListenPacket(ctx, "udp", i.String("listen"))
	if err != nil {
		return i.notListening(err)
	}
	if err := i.tellConnect(instance, port, socket.LocalAddr().String()); err != nil {
		return err
	}
	open := func(ctx context.Context) (io.ReadWriteCloser, error) { return dial(ctx) }
	err = datagram.Serve(ctx, socket, open, datagram.Idle, func(err error) {
		if ctx.Err() == nil {
			fmt.Fprintf(i.Err, "slapd connect: %s\n", oneLine(strings.TrimPrefix(err.Error(), "connect ")))
		}
	})
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("receive: %w", err)
}

// notListening says why a port cannot be had, and what to do.
func (i *invocation) notListening(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("--listen %s: another program has this port: choose another one (port 0 picks one)", i.String("listen"))
	}
	return fmt.Errorf("--listen %s: %w", i.String("listen"), err)
}

// A connected is what connect prints as JSON.
type connected struct {
	Reference string `json:"reference"`
	Port      uint16 `json:"port"`
	UDP       bool   `json:"udp,omitempty"`
	Address   string `json:"address"`
}

func (i *invocation) tellConnect(instance protocol.Instance, port protocol.Port, address string) error {
	if i.Bool("json") {
		return printJSON(i.Out, connected{instance.Reference, port.Number, port.UDP, address})
	}
	_, err := fmt.Fprintf(i.Out, "%s leads to port %s of %s, until interrupted\n", address, port, printable(instance.Reference))
	return err
}

// resettable is a TCP connection as a protocol.Conn.
type resettable struct{ *net.TCPConn }

// Reset ends the connection with an error for the other end.
func (r resettable) Reset() {
	_ = r.SetLinger(0) // so that Close sends a reset
	_ = r.Close()      // whatever it says, the connection is gone
}
