package sandbox

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/slapmesh/slapmesh/partition/sandbox/wayout"
)

const tunDevice = "/dev/net/tun"

// WayOut says why partitions can have no way out to the Internet on this
// computer: nil if they can.
func (h *Host) WayOut() error {
	if h.grade == GradePlain {
		return errors.New("partitions are plain processes, which use the computer's network")
	}
	if !h.network {
		return errors.New("partitions share the network of the computer")
	}
	if h.pasta == "" {
		return errors.New("pasta is not installed (apt install passt)")
	}
	if h.owns() { // who makes the device where it may be used
		return nil
	}
	f, err := os.OpenFile(tunDevice, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("%w (chmod 666 %s, as most systems have it)", err, tunDevice)
	}
	return f.Close()
}

// throughPasta makes a command that builds walls do so in a network that
// pasta made, where the ways to all but the Internet are closed. The command
// keeps only its standard streams.
func (h *Host) throughPasta(cmd *exec.Cmd, binary string) error {
	if err := h.WayOut(); err != nil {
		return fmt.Errorf("a way out to the Internet: %w", err)
	}
	near, err := interfaces()
	if err != nil {
		return fmt.Errorf("a way out to the Internet: which addresses are ours: %w", err)
	}
	args := []string{
		"pasta", "--quiet", "--stderr", "--ipv4-only", "--config-net", "--no-map-gw",
		"--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns", "none", "--udp-ns", "none",
		"--address", wayout.Address.String(), "--netmask", "24", "--gateway", wayout.Router.String(),
		"--dns-forward", wayout.Resolver.String(), "--", binary,
	}
	args = append(args, wayout.Args(wayout.Closed(near), cmd.Path, cmd.Args)...)
	cmd.Path, cmd.Args = h.pasta, args
	cmd.Stdin, cmd.ExtraFiles = cmd.ExtraFiles[0], nil
	return nil
}

// interfaces returns the addresses of this computer, with their networks.
func interfaces() ([]netip.Prefix, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var found []netip.Prefix
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			found = append(found, p)
		}
	}
	return found, nil
}

// makeTun makes the device for networks of one's own where every user may use
// it, in the mount namespace of the calling thread, if that is not so.
func makeTun() error {
	if info, err := os.Stat(tunDevice); err == nil && info.Mode().Perm()&0o006 == 0o006 {
		return nil
	}
	dir := filepath.Dir(tunDevice)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("slapd", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=0755,size=4k"); err != nil {
		return fmt.Errorf("make %s: %w", tunDevice, err)
	}
	if err := unix.Mknod(tunDevice, unix.S_IFCHR|0o666, int(unix.Mkdev(10, 200))); err != nil {
		return fmt.Errorf("make %s: %w", tunDevice, err)
	}
	return os.Chmod(tunDevice, 0o666)
}

// resolvers is what is in the partition's /etc/resolv.conf.
func resolvers(p Partition) string {
	if p.Egress {
		return "nameserver " + wayout.Resolver.String() + "\n"
	}
	resolv, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return ""
	}
	return string(resolv)
}
