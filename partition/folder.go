package partition

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition/sandbox"
	"github.com/slapmesh/slapmesh/partition/taste"
)

// seedName is where the seed is kept among the secrets that are made of it. No
// profile can ask for it.
const seedName = "seed/of-all"

// maxSecrets bounds the secrets of one instance.
const maxSecrets = 1024

// A record says what a partition's folder holds. It is kept in the part of
// the folder that the partition does not see.
type record struct {
	Instance ledger.InstanceID    `json:"instance"`
	Release  ledger.ReleaseDigest `json:"release"`        // that it was launched with
	From     ledger.InstanceID    `json:"from,omitempty"` // whose data it took
}

func recordFile(folder string) string {
	return filepath.Join(sandbox.Private(folder), "instance.json")
}

func secretsFile(folder string) string { return filepath.Join(sandbox.Private(folder), "secrets.json") }

// readJSON reads a file into v. One that is not there leaves v as it is.
func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// writeJSON replaces a file by v. When it returns, a power cut does not undo
// it; one before leaves the old file.
func writeJSON(path string, v any) (err error) {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// secrets are an instance's own: made when first asked for, and kept.
type secrets struct {
	path   string
	values map[string]string
	seed   string // of which those are made that are not there yet
	fresh  bool   // some are not kept yet
}

func openSecrets(folder string) (*secrets, error) {
	s := &secrets{path: secretsFile(folder), values: make(map[string]string)}
	err := readJSON(s.path, &s.values)
	s.seed = cmp.Or(s.values[seedName], rand.Text())
	return s, err
}

// get returns the secret of that name: letters and digits.
func (s *secrets) get(name string) string {
	if v, ok := s.values[name]; ok || len(s.values) >= maxSecrets {
		return v
	}
	s.values[seedName] = s.seed
	s.values[name] = taste.Secret(s.values, s.seed, name)
	s.fresh = true
	return s.values[name]
}

// keep makes the secrets durable. It comes before anyone may use them.
func (s *secrets) keep() error {
	if !s.fresh {
		return nil
	}
	s.fresh = false
	return writeJSON(s.path, s.values)
}
