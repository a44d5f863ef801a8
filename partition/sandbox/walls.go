//go:build unix

package sandbox

import (
	"os"
	"path/filepath"

	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// Where things are inside the walls.
const (
	insideData = "/data"
	insideRun  = "/run/slapd"
	insideInit = "/run/init"
)

// walls returns bubblewrap's arguments that hold for every partition. With a
// network of its own it has a loopback there, and nothing else; without, it
// keeps to its own address on the computer's. Nothing ties the partition to
// our life, so it outlives us.
func walls(network bool) []string {
	args := []string{
		"--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
		"--disable-userns", "--as-pid-1", "--new-session", "--clearenv", "--cap-drop", "ALL",
	}
	if network {
		args = append(args, "--unshare-net")
	}
	return args
}

// environment is what every process inside begins with.
func environment(home, path string) [][2]string {
	return [][2]string{{"PATH", path}, {"HOME", home}, {"LC_ALL", "C.UTF-8"}, {"TZ", "UTC"}, {"TMPDIR", "/tmp"}}
}

const insidePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// bubblewrap returns the arguments, after those of the walls, that start a
// supervisor inside them. The paths are as bubblewrap sees them.
func bubblewrap(tree, folder, binary, hostname string, etc []string, inside supervisor.Options) []string {
	args := []string{"--hostname", hostname}
	for _, v := range environment(insideData, insidePath) {
		args = append(args, "--setenv", v[0], v[1])
	}
	args = append(args,
		"--ro-bind", tree, "/", "--proc", "/proc", "--dev", "/dev",
		"--tmpfs", "/tmp", "--tmpfs", "/run", "--tmpfs", "/dev/shm",
		"--bind", filepath.Join(folder, dataDir), insideData,
		"--bind", filepath.Join(folder, runDir), insideRun,
		"--ro-bind", binary, insideInit)
	for _, name := range etc {
		args = append(args, "--ro-bind", filepath.Join(folder, etcDir, name), "/etc/"+name)
	}
	args = append(args, "--remount-ro", "/run", "--chdir", insideData, "--", insideInit)
	return append(args, inside.Args()...)
}

// boundEtc returns those of names for which the tree has a place: a file can
// only be mounted on a file.
func boundEtc(tree string, names []string) []string {
	var bound []string
	for _, name := range names {
		if info, err := os.Lstat(filepath.Join(tree, "etc", name)); err == nil && info.Mode().IsRegular() {
			bound = append(bound, name)
		}
	}
	return bound
}
