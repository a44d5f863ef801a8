package command

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/slapmesh/slapmesh/protocol"
)

// release returns how the peer is to name a release. A folder is read here,
// where its author sits, and published by an account: the peer may be
// elsewhere, and may not read what its user can.
func (i *invocation) release(ctx context.Context, service protocol.Service, name, account string) (string, error) {
	if !isFolder(name) {
		return name, nil
	}
	profile, err := i.Profiles.Bundle(name)
	if err != nil {
		return "", err
	}
	r, err := service.Publish(ctx, protocol.PublishInput{Profile: profile, Account: account})
	return r.Digest, err
}

// isFolder tells a folder from a name in the catalogue: it is written like a
// path, or it has a profile in it.
func isFolder(name string) bool {
	if name == "." || name == ".." || strings.HasPrefix(name, "./") || strings.HasPrefix(name, "../") || filepath.IsAbs(name) {
		return true
	}
	_, err := os.Stat(filepath.Join(name, "release.star"))
	return err == nil
}
