package daemon

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
)

// A founding is what the first peer of a mesh proposes first. It waits in
// the state folder until the ledger has it, so that a founding that was cut
// short goes on with the next run.
type founding struct {
	Name    string             `json:"name"`
	Open    bool               `json:"open,omitempty"`
	Ask     bool               `json:"ask,omitempty"`
	Account ledger.AccountName `json:"account"`

	// FirstAddress is where the mesh begins to give out addresses.
	FirstAddress uint32 `json:"first_address"`
}

// FoundOptions says what mesh to found.
type FoundOptions struct {
	Settings

	// Mesh is the mesh's name. Default: the peer's.
	Mesh string

	// Open lets strangers join without a token.
	Open bool

	// Ask lets strangers ask to join, who wait for an operator. It excludes Open.
	Ask bool

	// Account is the operator's. Default "operator".
	Account string
}

// Found makes a new mesh in the state folder. [Open] then runs its first
// peer.
func Found(cfg Config, opt FoundOptions) (err error) {
	f, err := openFolder(cfg.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.checkEmpty(); err != nil {
		return err
	}
	settings, err := f.remember(opt.Settings)
	if err != nil {
		return err
	}
	var draw [4]byte
	if _, err := rand.Read(draw[:]); err != nil {
		return fmt.Errorf("found a mesh: %w", err)
	}
	plan := founding{opt.Mesh, opt.Open, opt.Ask, ledger.AccountName(opt.Account), binary.BigEndian.Uint32(draw[:])}
	if plan.Name == "" {
		plan.Name = settings.Name
	}
	if plan.Account == "" {
		plan.Account = defaultAccount
	}
	identity, err := mesh.LoadOrCreateIdentity(f.path)
	if err != nil {
		return err
	}
	ca, err := mesh.NewCA(plan.Name, rand.Reader, cfg.Clock())
	if err != nil {
		return err
	}
	certificate, err := ca.Issue(mesh.IssueRequest{PublicKey: identity.PublicKey(), Now: cfg.Clock(), Keeper: true})
	if err != nil {
		return err
	}
	return errors.Join(
		ca.Save(f.path, identity),
		writeJSON(f.file(foundingFile), plan),
		writeJSON(f.file("seat.json"), seatRecord{Seat: 1}),
		mesh.Credentials{CertificateDER: certificate, CADER: ca.CertificateDER(), MeshName: plan.Name}.Save(f.path),
	)
}

const (
	defaultAccount = "operator"
	foundingFile   = "founding.json"
)

// checkEmpty refuses a folder that belongs to a mesh already.
func (f *folder) checkEmpty() error {
	c, err := mesh.LoadCredentials(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("state folder %s: belongs to mesh %s (%s) already: start it with \"slapd run\", or choose another folder with --dir", f.path, c.MeshName, c.MeshID())
}
