package mesh

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The CA's key lies on disk sealed with a key derived from the identity of the
// peer that holds it. A voter signs unattended, so whoever has all of its state
// folder has the CA as well; what the seal is for is all that has less: a copy,
// a backup or a disk image of that one file, another voter's file, a file that
// was left behind when the identity was moved away.

const (
	caFile       = "ca.key"
	nextFile     = "ca.next"
	sealedBlock  = "SLAPD SEALED CA"
	sealPurpose  = "seal ca 1"
	maxSealedPEM = 64 << 10
)

// errSealedElsewhere means that a CA was sealed by another peer.
var errSealedElsewhere = errors.New("it is sealed for another peer, or damaged: delete it, a voter is sent the key again with its next seat")

// sealer encrypts for the identity alone.
func sealer(identity *Identity) (cipher.AEAD, error) {
	key := identity.secret(sealPurpose)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Save keeps the CA in the state folder dir, sealed for the peer.
func (ca *CA) Save(dir string, identity *Identity) error { return ca.save(dir, caFile, identity) }

// SaveNext keeps the CA beside the present one, which it is to follow.
func (ca *CA) SaveNext(dir string, identity *Identity) error { return ca.save(dir, nextFile, identity) }

func (ca *CA) save(dir, name string, identity *Identity) error {
	clear, err := ca.Marshal()
	if err != nil {
		return err
	}
	aead, err := sealer(identity)
	if err != nil {
		return fmt.Errorf("keep CA: %w", err)
	}
	data := pem.EncodeToMemory(&pem.Block{Type: sealedBlock, Bytes: aead.Seal(nil, nil, clear, []byte(identity.ID()))})
	if err := writeFile(filepath.Join(dir, name), data); err != nil {
		return fmt.Errorf("keep CA: %w", err)
	}
	return nil
}

// LoadCA reads the CA in the state folder dir. The error matches
// fs.ErrNotExist where this peer holds none. One that an older slapd left there
// in clear is sealed.
func LoadCA(dir string, identity *Identity) (*CA, error) { return loadCA(dir, caFile, identity) }

// LoadNextCA reads what SaveNext kept.
func LoadNextCA(dir string, identity *Identity) (*CA, error) { return loadCA(dir, nextFile, identity) }

// RemoveNextCA deletes what SaveNext kept, if it is there.
func RemoveNextCA(dir string) error {
	if err := os.Remove(filepath.Join(dir, nextFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove next CA: %w", err)
	}
	return nil
}

func loadCA(dir, name string, identity *Identity) (*CA, error) {
	path := filepath.Join(dir, name)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read CA: %w", err)
	}
	ca, sealed, err := openCA(data, identity)
	if err != nil {
		return nil, fmt.Errorf("read CA %s: %w", path, err)
	}
	if !sealed {
		return ca, ca.save(dir, name, identity)
	}
	return ca, nil
}

// openCA reads what Save or, in clear, Marshal wrote.
func openCA(data []byte, identity *Identity) (ca *CA, sealed bool, err error) {
	if len(data) > maxSealedPEM {
		return nil, false, fmt.Errorf("%d bytes, at most %d expected", len(data), maxSealedPEM)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != sealedBlock {
		ca, err = ParseCA(data)
		return ca, false, err
	}
	aead, err := sealer(identity)
	if err != nil {
		return nil, true, err
	}
	clear, err := aead.Open(nil, nil, block.Bytes, []byte(identity.ID()))
	if err != nil {
		return nil, true, errSealedElsewhere
	}
	ca, err = ParseCA(clear)
	return ca, true, err
}
