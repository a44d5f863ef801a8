package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// An etcd is three processes of etcd on loopback, with its default settings.
type etcd struct {
	names   []string
	clients []*clientv3.Client // one for each, which asks only that one
	servers []*process
	args    [][]string
	program string
	dir     string
}

// errNoEtcd says that there is nothing to compare with.
var errNoEtcd = errors.New("etcd is not installed (Debian package etcd-server)")

func startEtcd(ctx context.Context, opt options, name string) (_ *etcd, err error) {
	program, err := exec.LookPath(opt.etcd)
	if err != nil {
		return nil, errNoEtcd
	}
	e := &etcd{program: program, dir: filepath.Join(opt.dir, name)}
	defer func() {
		if err != nil {
			e.stop()
		}
	}()
	const size = 3
	ports, err := freePorts(2 * size)
	if err != nil {
		return nil, err
	}
	var cluster []string
	for n := range size {
		e.names = append(e.names, fmt.Sprint("etcd", n))
		cluster = append(cluster, fmt.Sprintf("%s=http://%s", e.names[n], ports[2*n+1]))
	}
	for n := range size {
		own, peers := "http://"+ports[2*n], "http://"+ports[2*n+1]
		e.args = append(e.args, []string{
			"--name", e.names[n], "--data-dir", filepath.Join(e.dir, e.names[n], "data"), "--log-level", "error",
			"--listen-client-urls", own, "--advertise-client-urls", own,
			"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers,
			"--initial-cluster", strings.Join(cluster, ","),
		})
		p, err := launch(filepath.Join(e.dir, e.names[n]), program, e.args[n]...)
		if err != nil {
			return e, err
		}
		e.servers = append(e.servers, p)
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{own}, Logger: zap.NewNop()})
		if err != nil {
			return e, err
		}
		e.clients = append(e.clients, c)
	}
	return e, e.settle(ctx)
}

// freePorts returns addresses on loopback that nobody listens on.
func freePorts(n int) ([]string, error) {
	var all []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }()
		all = append(all, l.Addr().String())
	}
	return all, nil
}

// again starts a server that was killed.
func (e *etcd) again(ctx context.Context, n int) (err error) {
	e.servers[n], err = launch(filepath.Join(e.dir, e.names[n]), e.program, e.args[n]...)
	if err != nil {
		return err
	}
	return e.settle(ctx)
}

// settle waits until every server has answered a read that the leader vouches for.
func (e *etcd) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for n, c := range e.clients {
		for {
			try, stop := context.WithTimeout(ctx, time.Second)
			_, err := c.Get(try, "settled")
			stop()
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return fmt.Errorf("etcd: %w: %s", err, e.servers[n].lastWords())
			}
		}
	}
	return nil
}

// parts returns which server leads and one that does not.
func (e *etcd) parts(ctx context.Context) (leader, follower int, err error) {
	for n, c := range e.clients {
		status, err := c.Status(ctx, c.Endpoints()[0])
		if err != nil {
			return 0, 0, err
		}
		if status.Header.MemberId == status.Leader {
			return n, (n + 1) % len(e.clients), nil
		}
	}
	return 0, 0, errors.New("etcd: no leader")
}

func (e *etcd) stop() {
	for _, c := range e.clients {
		_ = c.Close()
	}
	for _, p := range e.servers {
		p.end(syscall.SIGKILL)
	}
}

// put writes 200 bytes to a key of the client's own.
func (e *etcd) put(server int) func(context.Context, int, int) error {
	return func(ctx context.Context, client, _ int) error {
		_, err := e.clients[server].Put(ctx, fmt.Sprint("bench", client), value)
		return err
	}
}

// post does what put does, as JSON over HTTP.
func (e *etcd) post(server int) func(context.Context, int, int) error {
	address := strings.TrimPrefix(e.clients[server].Endpoints()[0], "http://")
	to := &lines{network: "tcp", address: address, path: "/v3/kv/put"}
	return func(_ context.Context, client, _ int) error {
		return to.post(client, map[string][]byte{"key": fmt.Append(nil, "bench", client), "value": []byte(value)})
	}
}

// value is what is put.
var value = strings.Repeat("x", 200)
