package mesh

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/slapmesh/slapmesh/mesh/frame"
)

const (
	knownFile   = "peers.cbor"
	knownFormat = 1
	knownLimit  = 8 << 20
)

// knownRecord is the file of peers seen before, so that a peer finds back
// into the mesh after a restart whoever else is gone.
type knownRecord struct {
	Format      uint64   `cbor:"1,keyasint"`
	MeshID      string   `cbor:"2,keyasint"`
	Descriptors [][]byte `cbor:"3,keyasint"`
}

// load fills the book from the state folder dir. A damaged file costs the
// peers in it, not the start: the error is to be logged.
func (b *book) load(dir, meshID string) error {
	if dir == "" {
		return nil
	}
	data, err := os.ReadFile(filepath.Join(dir, knownFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read known peers: %w", err)
	}
	descriptors, err := parseKnown(data, meshID)
	for _, d := range descriptors {
		b.put(d)
	}
	return err
}

// parseKnown reads the file of known peers. Descriptors that are not of this
// mesh, or damaged, are left out.
func parseKnown(data []byte, meshID string) ([]Descriptor, error) {
	var k knownRecord
	switch err := frame.Decode(data, &k); {
	case err != nil:
		return nil, fmt.Errorf("read known peers: %w", err)
	case k.Format > knownFormat:
		return nil, fmt.Errorf("read known peers: written by a newer slapd (format %d, this one reads %d)", k.Format, knownFormat)
	case k.MeshID != meshID:
		return nil, fmt.Errorf("read known peers: they are of mesh %.40s: %w", k.MeshID, ErrOtherMesh)
	}
	var all []Descriptor
	for _, encoded := range k.Descriptors {
		if d, err := parseDescriptor(encoded, meshID); err == nil {
			all = append(all, d)
		}
	}
	return all, nil
}

// save writes the book to the state folder dir if it changed.
func (b *book) save(dir, meshID string) error {
	b.mu.Lock()
	dirty := b.dirty
	b.dirty = false
	b.mu.Unlock()
	if dir == "" || !dirty {
		return nil
	}
	k := knownRecord{Format: knownFormat, MeshID: meshID}
	size := 0
	for _, d := range b.descriptors() {
		if size += len(d.encoded); size > knownLimit {
			break
		}
		k.Descriptors = append(k.Descriptors, d.encoded)
	}
	data, err := frame.Encode(k)
	if err != nil {
		return fmt.Errorf("encode known peers: %w", err)
	}
	if err := writeFile(filepath.Join(dir, knownFile), data); err != nil {
		return fmt.Errorf("keep known peers: %w", err)
	}
	return nil
}

// Save keeps what a joining was answered in the state folder dir: the
// credentials, and the other peers, so that who is stopped before it has met
// them finds them when it runs.
func (r *JoinResult) Save(dir string) error {
	if err := r.Credentials.Save(dir); err != nil {
		return err
	}
	id := r.Credentials.MeshID()
	b := newBook("", func() time.Time { return time.Time{} }) // nobody asks it since when
	_ = b.load(dir, id)                                       // what cannot be read is replaced
	for _, d := range r.Seeds {
		b.put(d)
	}
	return b.save(dir, id)
}
