package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/slapmesh/slapmesh/protocol"
)

// An instance goes on when the daemon is killed, and is found again; its
// server comes back when it is killed itself; its data stays over a stop; and
// when it is destroyed nothing stays.
func TestInstanceOutlivesItsDaemon(t *testing.T) {
	t.Parallel()
	downloaded(t, "redis")
	w := newWorld(t, newNetwork(t))
	a := w.mesh("2", "a")[0]
	i := a.request(protocol.RequestInput{Reference: "db", Release: "redis"})
	db := database{w, hostOf(t, i), i.Connection["password"]}
	db.mustSay("set color blue", "+OK")
	server := a.only("redis-server")

	a.kill()
	db.mustSay("get color", "blue")
	a = w.start("a", "run").up()
	again := a.settled("db")
	if again.ID != i.ID || again.State != protocol.StateStarted || !again.Healthy || again.Connection["url"] != i.Connection["url"] {
		t.Errorf("after kill -9 of the daemon: %+v", again)
	}
	if pid := a.only("redis-server"); pid != server {
		t.Errorf("the server is process %d, was %d", pid, server)
	}
	db.mustSay("get color", "blue")

	if err := syscall.Kill(server, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.until("the crashed server is back", func() error {
		if !gone(server) {
			return fmt.Errorf("process %d is still there", server)
		}
		_, err := db.say("ping", "+PONG")
		return err
	})
	db.mustSay("save", "+OK")
	db.mustSay("set color green", "+OK")

	if stopped := a.set("db", protocol.RequestStopped); stopped.State != protocol.StateStopped {
		t.Errorf("stopped: %+v", stopped)
	}
	w.until("no process of a stopped instance", func() error { return a.none("redis-server", "bwrap") })
	if started := a.set("db", protocol.RequestStarted); started.ID != i.ID || started.Connection["url"] != i.Connection["url"] {
		t.Errorf("started again: %+v", started)
	}
	db.mustSay("get color", "green")

	if claims := userClaims(a.dir); os.Getuid() == 0 && len(claims) != 1 {
		t.Errorf("users claimed: %v", claims)
	}
	a.set("db", protocol.RequestDestroyed)
	w.until("nothing of a destroyed instance", func() error {
		folders, err := filepath.Glob(filepath.Join(a.dir, "partitions", "*"))
		if err == nil && len(folders) > 0 {
			err = fmt.Errorf("folders %v", folders)
		}
		if claims := userClaims(a.dir); err == nil && len(claims) > 0 {
			err = fmt.Errorf("claims %v", claims)
		}
		if err == nil {
			err = a.none("redis-server", "bwrap")
		}
		return err
	})
	if left := processesOf(a.dir); len(left) != 1 {
		t.Errorf("processes beside the daemon: %v", left)
	}
}

// only returns the one process of the peer's partitions that runs a program.
func (p *peer) only(program string) (pid int) {
	p.w.Helper()
	pids := named(p.dir, program)
	if len(pids) != 1 {
		p.w.Fatalf("%s runs as %v, want one process (of %v)", program, pids, processesOf(p.dir))
	}
	return pids[0]
}

// none says which of the programs still run for the peer.
func (p *peer) none(programs ...string) error {
	for _, program := range programs {
		if pids := named(p.dir, program); len(pids) > 0 {
			return fmt.Errorf("%s still runs as %v", program, pids)
		}
	}
	return nil
}

// A database is a Redis, spoken to in its own protocol.
type database struct {
	w        *world
	address  string
	password string
}

// say has the database do something and waits for a line of its answer.
func (d database) say(command, answer string) (string, error) {
	return d.w.net.talk(d.address, answer, "auth "+d.password, command)
}

func (d database) mustSay(command, answer string) {
	d.w.Helper()
	if said, err := d.say(command, answer); err != nil {
		d.w.Fatalf("%s: want %s: %v: %s", command, answer, err, said)
	}
}
