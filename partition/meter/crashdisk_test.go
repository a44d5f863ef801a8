package meter

import (
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
)

var (
	errCrashed = errors.New("crashed")
	errFull    = errors.New("no space left on device")
)

// A crashDisk is a disk in memory whose power can fail between any two
// operations, and in the middle of one. Names that were not synced may or may
// not survive that.
type crashDisk struct {
	r       *rand.Rand
	files   map[string][]byte // as programs see them
	durable map[string][]byte // as they survive for certain
	pending []func(map[string][]byte)
	left    int     // operations until the power fails; negative is never
	full    float64 // how probably an operation fails
}

func newCrashDisk(r *rand.Rand) *crashDisk {
	return &crashDisk{r: r, files: make(map[string][]byte), durable: make(map[string][]byte), left: -1}
}

// step says whether the next operation fails.
func (d *crashDisk) step() error {
	if d.left == 0 {
		return errCrashed
	}
	if d.left > 0 {
		d.left--
	}
	if d.r.Float64() < d.full {
		return errFull
	}
	return nil
}

func (d *crashDisk) change(f func(map[string][]byte)) {
	f(d.files)
	d.pending = append(d.pending, f)
}

// crash loses what was not synced, or some of it.
func (d *crashDisk) crash() {
	for _, f := range d.pending {
		if d.r.IntN(2) == 0 {
			f(d.durable)
		}
	}
	d.pending, d.left = nil, -1
	d.files = maps.Clone(d.durable)
}

func (d *crashDisk) list(dir string) (map[string]int64, error) {
	if err := d.step(); err != nil {
		return nil, err
	}
	found := make(map[string]int64)
	for name, data := range d.files {
		if path.Dir(name) == dir {
			found[path.Base(name)] = int64(len(data))
		}
	}
	return found, nil
}

func (d *crashDisk) read(name string) ([]byte, error) {
	if err := d.step(); err != nil {
		return nil, err
	}
	data, ok := d.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(data), nil
}

func (d *crashDisk) create(name string, data []byte) error {
	err := d.step()
	if err != nil {
		data = data[:d.r.IntN(len(data)+1)]
	}
	data = slices.Clone(data)
	d.change(func(files map[string][]byte) { files[name] = data })
	return err
}

func (d *crashDisk) rename(from, to string) error {
	if err := d.step(); err != nil {
		return err
	}
	data, ok := d.files[from]
	if !ok {
		return fs.ErrNotExist
	}
	d.change(func(files map[string][]byte) {
		files[to] = data
		delete(files, from)
	})
	return nil
}

func (d *crashDisk) remove(name string) error {
	if d.left == 0 {
		return errCrashed
	}
	d.change(func(files map[string][]byte) { delete(files, name) })
	return nil
}

func (d *crashDisk) sync(string) error {
	if err := d.step(); err != nil {
		return err
	}
	for _, f := range d.pending {
		f(d.durable)
	}
	d.pending = nil
	return nil
}
