package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// listenControl opens the control socket. Who may connect is checked for
// each connection by uid; the mode keeps most others out before that.
func listenControl(ctx context.Context, path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("control socket %s: path longer than %d bytes: choose a shorter folder with --dir", path, maxSocketPath)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("control socket: %w", err), l.Close())
	}
	return l, nil
}

// maxSocketPath is what sun_path holds on Linux, without the final zero.
const maxSocketPath = 107

// listenAPI opens the local API port.
func listenAPI(ctx context.Context, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("local API: TCP port %s is in use: choose another with --api HOST:PORT (port 0 picks a free one)", address)
	}
	if err != nil {
		return nil, fmt.Errorf("local API: listen on %s: %w", address, err)
	}
	return l, nil
}

// hostID names this computer's network namespace: two peers with the same
// id share a loopback, so they reach each other's instances without a
// tunnel. It says nothing about the computer to whoever does not know its
// boot id. It is "" where the system does not tell.
func hostID() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	namespace, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(append(boot, namespace...))
	return hex.EncodeToString(sum[:8])
}
