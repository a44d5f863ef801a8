package rest

import (
	"net"
	"net/http"

	"golang.org/x/sys/unix"
)

// PeerUID returns the user who opened the Unix socket that r came through, as
// the kernel tells it. It is false for any other connection, and for requests
// that did not come through [Server.Serve].
func PeerUID(r *http.Request) (uid uint32, ok bool) {
	conn, ok := r.Context().Value(connKey{}).(*net.UnixConn)
	if !ok {
		return 0, false
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, false
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil || credErr != nil {
		return 0, false
	}
	return cred.Uid, true
}
