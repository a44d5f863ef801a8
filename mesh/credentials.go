package mesh

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrOtherMesh is matched where a state folder belongs to another mesh.
var ErrOtherMesh = errors.New("state folder of another mesh")

const (
	credentialsFile   = "credentials.json"
	credentialsFormat = 1
)

// Credentials are what a peer got when it was admitted: its certificate and
// the CA's. They hold no secret.
type Credentials struct {
	CertificateDER []byte
	CADER          []byte
	MeshName       string
}

// credentialsRecord is the file, which outlives versions of the program.
type credentialsRecord struct {
	Format      int    `json:"format"`
	MeshName    string `json:"mesh_name"`
	MeshID      string `json:"mesh_id"`
	Certificate []byte `json:"certificate"`
	CA          []byte `json:"ca"`
}

// CADigest is the digest of the mesh's CA, for tokens and fingerprints.
func (c Credentials) CADigest() ([32]byte, error) {
	ca, err := parseCACertificate(c.CADER)
	if err != nil {
		return [32]byte{}, err
	}
	return digestOf(ca), nil
}

// MeshID names the mesh that the credentials are of, or is "" if they cannot
// be read.
func (c Credentials) MeshID() string {
	ca, err := parseCACertificate(c.CADER)
	if err != nil {
		return ""
	}
	return meshIDOfCA(ca)
}

// Save keeps the credentials in the state folder dir. It refuses to replace
// those of another mesh.
func (c Credentials) Save(dir string) error {
	id := c.MeshID()
	if id == "" {
		return errors.New("keep credentials: the CA certificate in them is not readable")
	}
	old, err := LoadCredentials(dir)
	switch {
	case err == nil && old.MeshID() != id:
		return fmt.Errorf("keep credentials: %s is of mesh %s (%s), not of %s (%s): choose another folder with --dir: %w",
			dir, old.MeshName, old.MeshID(), c.MeshName, id, ErrOtherMesh)
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	}
	data, err := json.MarshalIndent(credentialsRecord{credentialsFormat, c.MeshName, id, c.CertificateDER, c.CADER}, "", "  ")
	if err != nil {
		return fmt.Errorf("keep credentials: %w", err)
	}
	if err := writeFile(filepath.Join(dir, credentialsFile), append(data, '\n')); err != nil {
		return fmt.Errorf("keep credentials: %w", err)
	}
	return nil
}

// LoadCredentials reads the credentials in the state folder dir. The error
// matches fs.ErrNotExist where the folder is of no mesh yet.
func LoadCredentials(dir string) (Credentials, error) {
	path := filepath.Join(dir, credentialsFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return Credentials{}, fmt.Errorf("read credentials: %w", err)
	}
	var r credentialsRecord
	if err := json.Unmarshal(data, &r); err != nil {
		return Credentials{}, fmt.Errorf("read credentials %s: damaged: %w: restore it from a backup, or join again in another folder", path, err)
	}
	if r.Format > credentialsFormat {
		return Credentials{}, fmt.Errorf("read credentials %s: written by a newer slapd (format %d, this one reads %d): upgrade slapd, or choose another folder with --dir",
			path, r.Format, credentialsFormat)
	}
	c := Credentials{r.Certificate, r.CA, r.MeshName}
	if id := c.MeshID(); id == "" || id != r.MeshID {
		return Credentials{}, fmt.Errorf("read credentials %s: the CA in it is not that of mesh %s: restore the file from a backup", path, r.MeshID)
	}
	return c, nil
}

// check says whether the credentials are those of identity, and returns both
// certificates. Dates are not looked at: an expired certificate can be renewed.
func (c Credentials) check(identity *Identity) (leaf, ca *x509.Certificate, err error) {
	ca, err = parseCACertificate(c.CADER)
	if err != nil {
		return nil, nil, err
	}
	leaf, err = x509.ParseCertificate(c.CertificateDER)
	if err != nil {
		return nil, nil, fmt.Errorf("read certificate: %w", err)
	}
	id, err := checkPeer(leaf, ca, leaf.NotBefore)
	if err != nil {
		return nil, nil, err
	}
	if id != identity.ID() {
		return nil, nil, fmt.Errorf("check certificate: it is of peer %s and the key in this folder is of %s: the folder mixes two peers", id, identity.ID())
	}
	return leaf, ca, nil
}
