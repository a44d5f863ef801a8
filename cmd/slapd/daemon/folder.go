package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/slapmesh/slapmesh/mesh/relay"
)

// layout is the version of the state folder that this slapd writes. It is
// raised when an older slapd could no longer read what a newer one wrote.
const layout = 1

// A folder is the state of one peer on disk, held by one process at a time.
type folder struct {
	path string
	lock *os.File
}

// openFolder makes or opens the state folder and locks it. The errors say
// who holds the folder, or which slapd can read it.
func openFolder(path string) (*folder, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("state folder: %w; choose another with --dir", err)
	}
	f := &folder{path: path}
	if err := f.acquire(); err != nil {
		return nil, err
	}
	if err := f.checkLayout(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *folder) acquire() error {
	lock, err := os.OpenFile(f.file("lock"), os.O_RDWR|os.O_CREATE|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("state folder %s: %w; choose another with --dir", f.path, err)
	}
	if err := lockWhole(lock); err != nil {
		holder := make([]byte, 32)
		n, _ := lock.ReadAt(holder, 0)
		_ = lock.Close()
		return fmt.Errorf("state folder %s: in use by another slapd (pid %s): stop it first, or choose another folder with --dir",
			f.path, strings.TrimSpace(string(holder[:n])))
	}
	f.lock = lock
	if err := lock.Truncate(0); err != nil {
		return fmt.Errorf("state folder %s: lock: %w", f.path, err)
	}
	if _, err := lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return fmt.Errorf("state folder %s: lock: %w", f.path, err)
	}
	return nil
}

func (f *folder) checkLayout() error {
	text, err := os.ReadFile(f.file("version"))
	if errors.Is(err, fs.ErrNotExist) {
		return writeFile(f.file("version"), []byte(strconv.Itoa(layout)+"\n"))
	}
	if err != nil {
		return fmt.Errorf("state folder %s: %w", f.path, err)
	}
	found, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("state folder %s: file version holds %q: not a folder of slapd; choose another with --dir", f.path, text)
	}
	if found > layout {
		return fmt.Errorf("state folder %s: written by a newer slapd (layout %d, this one reads up to %d): upgrade slapd on this computer", f.path, found, layout)
	}
	return nil
}

// file returns the path of a file or folder of the state folder.
func (f *folder) file(name ...string) string {
	return filepath.Join(append([]string{f.path}, name...)...)
}

// Close lets another process have the folder.
func (f *folder) Close() error { return f.lock.Close() }

// Settings is what a peer remembers of its flags. A flag that is given when
// it runs again replaces what was remembered.
type Settings struct {
	// Name is what people call the peer. Default: the host's name.
	Name string `json:"name"`

	// Listen is the HOST:PORT of the mesh's UDP socket. Default ":7527".
	Listen string `json:"listen"`

	// API is the HOST:PORT of the local API. Default "127.0.0.1:7528".
	API string `json:"api"`

	// Advertise lists further HOST:PORT addresses at which the peer can be
	// reached.
	Advertise []string `json:"advertise,omitempty"`

	// NoRelay keeps the peer from carrying packets between others,
	// NoPortMapping from asking the router for a port.
	NoRelay       *bool `json:"no_relay,omitempty"`
	NoPortMapping *bool `json:"no_port_mapping,omitempty"`

	// RelayRate is how much the peer carries between others, in bits per second.
	// Default 64 Mbit.
	RelayRate *int64 `json:"relay_rate,omitempty"`

	// NoBuild keeps the computer from building releases: it takes them from
	// peers that have.
	NoBuild *bool `json:"no_build,omitempty"`

	// PrivateSources allows releases to be made of what only this computer can
	// reach: addresses of its own network, and its files.
	PrivateSources *bool `json:"private_sources,omitempty"`

	// Egress lets instances out to the Internet whose releases ask for it.
	// Default: false.
	Egress *bool `json:"egress,omitempty"`

	// Partitions is how many instances the computer takes. Default 10, none on Windows.
	Partitions *int `json:"partitions,omitempty"`

	// Bandwidth is what the computer's line carries, in bits per second. Default
	// 0: not known, and not limited.
	Bandwidth *int64 `json:"bandwidth,omitempty"`

	// Labels are facts that requests filter on.
	Labels map[string]string `json:"labels,omitempty"`

	// NoDiscovery keeps the peer from answering who looks for its mesh on the
	// local network, and from looking itself. Default: false.
	NoDiscovery *bool `json:"no_discovery,omitempty"`
}

// The defaults of Settings.
const (
	defaultListen = ":7527"
	defaultAPI    = "127.0.0.1:7528"
)

// merge returns s with what given names put in its place.
func (s Settings) merge(given Settings) Settings {
	if given.Name != "" {
		s.Name = given.Name
	}
	if given.Listen != "" {
		s.Listen = given.Listen
	}
	if given.API != "" {
		s.API = given.API
	}
	if given.Advertise != nil {
		s.Advertise = given.Advertise
	}
	if given.NoBuild != nil {
		s.NoBuild = given.NoBuild
	}
	if given.PrivateSources != nil {
		s.PrivateSources = given.PrivateSources
	}
	if given.NoRelay != nil {
		s.NoRelay = given.NoRelay
	}
	if given.RelayRate != nil {
		s.RelayRate = given.RelayRate
	}
	if given.NoPortMapping != nil {
		s.NoPortMapping = given.NoPortMapping
	}
	if given.Egress != nil {
		s.Egress = given.Egress
	}
	if given.Partitions != nil {
		s.Partitions = given.Partitions
	}
	if given.Bandwidth != nil {
		s.Bandwidth = given.Bandwidth
	}
	if given.Labels != nil {
		s.Labels = given.Labels
	}
	if given.NoDiscovery != nil {
		s.NoDiscovery = given.NoDiscovery
	}
	return s
}

// withDefaults returns a completed copy of s.
func (s Settings) withDefaults() Settings {
	if s.Name == "" {
		s.Name, _ = os.Hostname()
	}
	if s.Name == "" {
		s.Name = "peer"
	}
	if s.Listen == "" {
		s.Listen = defaultListen
	}
	if s.API == "" {
		s.API = defaultAPI
	}
	if s.Partitions == nil {
		n := defaultPartitions
		s.Partitions = &n
	}
	if s.NoDiscovery == nil {
		s.NoDiscovery = new(bool)
	}
	if s.Bandwidth == nil {
		s.Bandwidth = new(int64)
	}
	return s
}

// remember merges given into the settings on disk and returns them completed.
func (f *folder) remember(given Settings) (Settings, error) {
	var s Settings
	switch err := readJSON(f.file("settings.json"), &s); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return s, err
	}
	s = s.merge(given)
	return s.withDefaults(), writeJSON(f.file("settings.json"), s)
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return writeFile(path, append(data, '\n'))
}

// writeFile replaces path by data, whole or not at all.
func writeFile(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".tmp-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	if _, err := tmp.Write(data); err != nil {
		return errors.Join(err, tmp.Close())
	}
	if err := errors.Join(tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// relayLimits bounds what the peer carries between others.
func (s Settings) relayLimits() (l relay.Limits) {
	if s.RelayRate != nil {
		l.Rate = *s.RelayRate / 8
	}
	return l
}
