package mesh_test

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
)

func TestIdentityIsKept(t *testing.T) {
	dir := t.TempDir()
	first, err := mesh.LoadOrCreateIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := mesh.LoadOrCreateIdentity(dir)
	if err != nil || again.ID() != first.ID() {
		t.Errorf("%v, %v, want %v", again, err, first.ID())
	}
	if id, err := mesh.ParsePeerID(string(first.ID())); err != nil || id != first.ID() {
		t.Errorf("%v, %v", id, err)
	}
	info, err := os.Stat(filepath.Join(dir, "identity.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	for _, damaged := range []string{"", "nonsense", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if err := os.WriteFile(filepath.Join(dir, "identity.key"), []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := mesh.LoadOrCreateIdentity(dir); err == nil || !strings.Contains(err.Error(), "backup") {
			t.Errorf("%q: error %v", damaged, err)
		}
	}
}

func TestCAIsKept(t *testing.T) {
	dir, holder := t.TempDir(), newIdentity(t)
	if _, err := mesh.LoadCA(dir, holder); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("empty folder: %v", err)
	}
	ca := newWorld(t).ca
	if err := ca.Save(dir, holder); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "ca.key")
	loads := func(what string) {
		t.Helper()
		got, err := mesh.LoadCA(dir, holder)
		if err != nil || got.Digest() != ca.Digest() || got.Name() != "test" {
			t.Errorf("%s: %v, %v", what, got, err)
		}
		data, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(data), "SEALED") || strings.Contains(string(data), "PRIVATE") {
			t.Errorf("%s: the file shows the key: %s, %v", what, data, err)
		}
	}
	loads("as it was kept")
	if _, err := mesh.LoadCA(dir, newIdentity(t)); err == nil || !strings.Contains(err.Error(), "sealed for another peer") {
		t.Errorf("another peer reads it: %v", err)
	}
	clear, _ := ca.Marshal()
	if err := os.WriteFile(path, clear, 0o600); err != nil {
		t.Fatal(err)
	}
	loads("left in clear by an older slapd")
	mine, _ := ca.Marshal()
	other, _ := newWorld(t).ca.Marshal()
	certificate, _, _ := strings.Cut(string(mine), "-----BEGIN PRIVATE")
	_, key, _ := strings.Cut(string(other), "-----BEGIN PRIVATE")
	if _, err := mesh.ParseCA([]byte(certificate + "-----BEGIN PRIVATE" + key)); err == nil {
		t.Error("a CA with another's key was read")
	}
	for _, name := range []string{"", strings.Repeat("x", 64), "a\x1bb"} {
		if _, err := mesh.NewCA(name, rand.Reader, time.Now()); err == nil {
			t.Errorf("mesh name %q was accepted", name)
		}
	}
}

func TestStateFolder(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	id := newIdentity(t)
	mine, foreign := w.credentials(id), other.credentials(id)
	dir := t.TempDir()
	if _, err := mesh.LoadCredentials(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("empty folder: %v", err)
	}
	if err := mine.Save(dir); err != nil {
		t.Fatal(err)
	}
	if got, err := mesh.LoadCredentials(dir); err != nil || got.MeshID() != w.ca.MeshID() || got.MeshName != "test" {
		t.Errorf("%v, %v", got, err)
	}
	if err := mine.Save(dir); err != nil {
		t.Errorf("the same again: %v", err)
	}

	// Of another mesh.
	err := foreign.Save(dir)
	if !errors.Is(err, mesh.ErrOtherMesh) || !strings.Contains(err.Error(), "--dir") {
		t.Errorf("another mesh: %v", err)
	}
	t.Log(err)

	// Of a newer version, and damaged.
	path := filepath.Join(dir, "credentials.json")
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ data, want string }{
		"newer version": {strings.Replace(string(kept), `"format": 1`, `"format": 2`, 1), "newer slapd (format 2, this one reads 1): upgrade slapd"},
		"truncated":     {string(kept[:len(kept)/2]), "damaged"},
		"other id":      {strings.Replace(string(kept), w.ca.MeshID(), other.ca.MeshID(), 1), "not that of mesh"},
	} {
		if err := os.WriteFile(path, []byte(tc.data), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := mesh.LoadCredentials(dir); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q in it", name, err, tc.want)
		}
		if err := mine.Save(dir); err == nil {
			t.Errorf("%s: written over", name)
		}
	}
}

// A folder whose key and certificate are of different peers does not open.
func TestMixedFolder(t *testing.T) {
	w := newWorld(t)
	c := w.config()
	defer func() { _ = c.Socket.Close() }()
	c.Credentials = w.credentials(newIdentity(t))
	if _, err := mesh.Open(c); err == nil || !strings.Contains(err.Error(), "mixes two peers") {
		t.Errorf("error %v", err)
	}
}

// A damaged or foreign list of known peers costs no start.
func TestDamagedKnownPeers(t *testing.T) {
	for _, data := range []string{"", "nonsense", "\xa3\x01\x01\x02ax\x03\x80"} {
		w := newWorld(t)
		c := w.config()
		c.Dir = t.TempDir()
		if err := os.WriteFile(filepath.Join(c.Dir, "peers.cbor"), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		p := w.open(c)
		if len(p.Members()) != 1 {
			t.Errorf("%q: members %+v", data, p.Members())
		}
		p.stop()
	}
}

// Who is killed soon after it met others finds them when it runs again, and
// so does who was stopped between joining and running.
func TestKnownPeersAreKeptSoon(t *testing.T) {
	inBubble(t, func(w *world) {
		first, second := w.config(), w.config()
		second.Dir = w.t.TempDir()
		a, b := w.open(first), w.open(second)
		b.AddSeeds(a.Seeds())
		b.untilAlive(w.tb, 2)
		time.Sleep(time.Second)
		data, err := os.ReadFile(filepath.Join(second.Dir, "peers.cbor"))
		if err != nil {
			w.t.Fatal(err)
		}
		if known, err := mesh.ParseKnown(data, b.ID()); err != nil || len(known) != 2 {
			w.t.Errorf("%v, %d peers", err, len(known))
		}

		third := w.config()
		third.Dir = w.t.TempDir()
		joined := mesh.JoinResult{Credentials: third.Credentials, Seeds: a.Seeds()}
		if err := joined.Save(third.Dir); err != nil {
			w.t.Fatal(err)
		}
		w.open(third).untilAlive(w.tb, 3)
	})
}
