package source

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/slapmesh/slapmesh/partition/build/process"
)

// A box is a sandbox in which something is built: bubblewrap round the tools of
// this computer or of a tree, and one folder that may be written to.
type box struct {
	bwrap string
	dir   string // may be written to
	at    string // what it is called inside
	root  string // of the tools; "" is this computer
	tools string // a further folder of tools of this computer
}

func newBox(dir, root, tools string) (box, error) {
	bwrap, err := exec.LookPath("bwrap")
	if err != nil {
		return box{}, errors.New("bubblewrap is not on this computer, without which nothing is built: install it (apt-get install bubblewrap)")
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return box{}, err
	}
	at := dir
	if root != "" {
		at = "/data" // which every tree has
	}
	return box{bwrap, dir, at, root, tools}, nil
}

// path returns what a path of this computer is called inside.
func (b box) path(name string) string {
	inside, err := filepath.Rel(b.dir, name)
	if err != nil || !filepath.IsLocal(inside) {
		return name
	}
	return filepath.Join(b.at, inside)
}

// A command is what runs in a box.
type command struct {
	dir     string
	network bool
	env     []string
	out     io.Writer
	args    []string
}

// system is what programs of this computer need of it. Everything else of it,
// such as the homes of its users, is not there.
var system = []string{
	"/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc/ssl", "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/passwd", "/etc/group",
	"/etc/ld.so.cache", "/etc/alternatives",
}

// run runs a command. The error has the end of what it said.
func (b box) run(ctx context.Context, c command) error {
	args := []string{"--die-with-parent", "--unshare-all", "--cap-drop", "ALL", "--clearenv"}
	if c.network {
		args = append(args, "--share-net")
	}
	if b.root == "" {
		for _, name := range system {
			args = append(args, "--ro-bind-try", name, name)
		}
	} else {
		args = append(args, "--ro-bind", b.root, "/")
		if c.network {
			args = append(args, "--ro-bind-try", "/etc/resolv.conf", "/etc/resolv.conf")
		}
	}
	args = append(args, "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp")
	path := "/usr/local/bin:/usr/bin:/bin"
	if b.tools != "" {
		args = append(args, "--ro-bind", b.tools, b.tools)
		path = filepath.Join(b.tools, "bin") + ":" + path
	}
	args = append(args, "--bind", b.dir, b.at, "--chdir", c.dir, "--setenv", "PATH", path)
	for _, entry := range c.env {
		for n := range entry {
			if entry[n] == '=' {
				args = append(args, "--setenv", entry[:n], entry[n+1:])
				break
			}
		}
	}
	cmd := exec.CommandContext(ctx, b.bwrap, append(append(args, "--"), c.args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	said := &tail{}
	cmd.Stderr, cmd.Stdout = said, c.out
	if c.out == nil {
		cmd.Stdout = said
	}
	cmd.WaitDelay = 5 * time.Second
	process.Confine(cmd)
	if err := process.Run(cmd); err != nil {
		return explain(ctx, c.args[0], err, said)
	}
	return nil
}
