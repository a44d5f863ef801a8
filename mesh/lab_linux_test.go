package mesh_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// lab is the network: namespaces joined by a bridge.
type lab struct {
	t      *testing.T
	prefix string
	made   []string
	hosts  map[string]string // namespaces by place and side
}

func run(t *testing.T, input string, args ...string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), args[0], args[1:]...)
	c.Stdin = strings.NewReader(input)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// ip runs lines of iproute2 in a namespace.
func (l *lab) ip(ns, lines string) {
	l.t.Helper()
	run(l.t, lines, "ip", "-n", ns, "-batch", "-")
}

func (l *lab) namespace(name string) string {
	l.t.Helper()
	ns := l.prefix + name
	run(l.t, "", "ip", "netns", "add", ns)
	l.made = append(l.made, ns)
	l.ip(ns, "link set lo up")
	run(l.t, "1", "ip", "netns", "exec", ns, "tee", "/proc/sys/net/ipv4/ip_forward")
	return ns
}

// join puts an interface of a namespace on a bridge of another.
func (l *lab) join(ns, name, hub, bridge, port string) {
	l.t.Helper()
	run(l.t, "", "ip", "-n", hub, "link", "add", port, "type", "veth", "peer", "name", name, "netns", ns)
	l.ip(hub, fmt.Sprintf("link set %s master %s\nlink set %s up", port, bridge, port))
	l.ip(ns, fmt.Sprintf("link set %s up", name))
}

func newLab(t *testing.T) *lab {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("skipped: network namespaces want root")
	}
	for _, program := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("skipped: %v", err)
		}
	}
	l := &lab{t: t, prefix: fmt.Sprintf("slapnat%d-", os.Getpid()), hosts: map[string]string{}}
	t.Cleanup(func() {
		for _, ns := range slices.Backward(l.made) {
			_ = exec.CommandContext(context.Background(), "ip", "netns", "del", ns).Run() // gone is gone
		}
	})
	hub := l.namespace("hub")
	l.ip(hub, "link add name hub0 type bridge\nlink set hub0 up")
	number := 1
	// attach gives a namespace addresses of the Internet.
	attach := func(ns string, v4, v6 bool) (address string) {
		number++
		l.join(ns, "out", hub, "hub0", fmt.Sprint("p", number))
		if v6 {
			l.ip(ns, fmt.Sprintf("addr add 2001:db8::%x/64 dev out nodad", number))
		}
		if v4 {
			l.ip(ns, fmt.Sprintf("addr add 203.0.113.%d/24 dev out", number))
		}
		return fmt.Sprintf("203.0.113.%d", number)
	}
	for _, name := range []string{"r1", "r2"} {
		l.hosts[name] = l.namespace(name)
		attach(l.hosts[name], true, true)
	}
	for i, p := range natPlaces {
		for j, side := range []string{"a", "b"} {
			host := l.namespace(fmt.Sprint(side, i))
			l.hosts[side+p.name] = host
			if len(p.boxes) == 0 {
				attach(host, !p.v6, p.v6 || p.rules != "" || p.name == "public")
			}
			outer := ""
			for k, rules := range p.boxes {
				box := l.namespace(fmt.Sprint(side, i, "box", k))
				if outer == "" {
					attach(box, true, false)
				} else {
					l.inside(box, "out", outer, fmt.Sprintf("100.%d.%d", 64+j, i), 2)
				}
				inner := fmt.Sprintf("100.%d.%d", 64+j, i)
				if k == len(p.boxes)-1 {
					inner = fmt.Sprintf("192.168.%d", 10*j+i+10)
				}
				l.ip(box, fmt.Sprintf("link add name inner type bridge\nlink set inner up\naddr add %s.1/24 dev inner", inner))
				run(t, strings.ReplaceAll(rules, "INNER", inner+".2"), "ip", "netns", "exec", box, "nft", "-f", "-")
				outer = box
				if k == len(p.boxes)-1 {
					l.inside(host, "out", box, inner, 2)
				}
			}
			if p.rules != "" {
				run(t, p.rules, "ip", "netns", "exec", host, "nft", "-f", "-")
			}
		}
	}
	return l
}

// inside connects a namespace to the inner side of a box.
func (l *lab) inside(ns, name, box, subnet string, number int) {
	l.t.Helper()
	l.join(ns, name, box, "inner", "i0")
	l.ip(ns, fmt.Sprintf("addr add %s.%d/24 dev %s\nroute add default via %s.1", subnet, number, name, subnet))
}
