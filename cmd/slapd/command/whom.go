package command

import (
	"cmp"
	"net"
	"net/netip"
	"path/filepath"

	"github.com/slapmesh/slapmesh/protocol"
	"github.com/slapmesh/slapmesh/protocol/client"
)

// stateDir is the folder of the peer that is meant.
func (i *invocation) stateDir() (string, error) {
	dir := cmp.Or(i.String("dir"), i.Env("SLAPD_DIR"))
	switch home := i.Env("HOME"); {
	case dir != "":
	case i.Root:
		dir = "/var/lib/slapd"
	case i.Env("XDG_STATE_HOME") != "":
		dir = filepath.Join(i.Env("XDG_STATE_HOME"), "slapd")
	case home != "":
		dir = filepath.Join(home, ".local", "state", "slapd")
	default:
		return "", usagef("no folder for the state: neither HOME nor SLAPD_DIR is set; name one with --dir")
	}
	return filepath.Abs(dir)
}

// service returns the peer that is to be asked.
func (i *invocation) service() (protocol.Service, error) {
	cfg, err := i.whom()
	if err != nil {
		return nil, err
	}
	c, err := client.New(cfg)
	if err != nil {
		return nil, err
	}
	i.client = c
	return c, nil
}

func (i *invocation) whom() (client.Config, error) {
	address := cmp.Or(i.String("peer"), i.Env("SLAPD_PEER"))
	if address == "" {
		dir, err := i.stateDir()
		return client.Config{Socket: filepath.Join(dir, "slapd.sock")}, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return client.Config{}, usagef("--peer %s: HOST:PORT wanted, such as 127.0.0.1:7528", address)
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return client.Config{}, protocol.Errorf(protocol.ErrInvalid,
			"--peer %s: the local API speaks plain HTTP, so it is asked from its own computer only: name 127.0.0.1", address)
	}
	token := i.Env("SLAPD_TOKEN")
	if token == "" {
		return client.Config{}, protocol.Errorf(protocol.ErrUnauthorized,
			"--peer %s: no token: put one into SLAPD_TOKEN (make it with \"slapd token create --role user\")", address)
	}
	return client.Config{Address: address, Token: token}, nil
}
