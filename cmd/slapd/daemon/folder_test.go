package daemon

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
)

func TestFolder(t *testing.T) {
	for _, tc := range []struct {
		name    string
		version string
		want    []string // nil: it opens
	}{
		{"of this version", "1\n", nil},
		{"of a newer slapd", "2\n", []string{"newer slapd", "layout 2", "up to 1", "upgrade"}},
		{"of something else", "v12.3-beta\n", []string{"not a folder of slapd", "--dir"}},
		{"that lost its version", "", []string{"not a folder of slapd"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "version"), []byte(tc.version), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := openFolder(dir)
			if tc.want != nil {
				says(t, err, "", append(tc.want, dir)...)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			_, err = openFolder(dir)
			says(t, err, "", "in use by another slapd", dir, "--dir")
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			if f, err = openFolder(dir); err != nil {
				t.Errorf("after the other has ended: %v", err)
			} else if err := f.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFolderIsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := openFolder(path)
	says(t, err, "", "state folder", "--dir")
}

func TestSettings(t *testing.T) {
	f, err := openFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // the test is over
	three, none := 3, 0
	first, err := f.remember(Settings{Name: "a", Partitions: &three, Labels: map[string]string{"k": "v"}, Advertise: []string{"h:1"}})
	if err != nil || first.Listen != defaultListen || first.API != defaultAPI || *first.Partitions != 3 {
		t.Fatalf("%+v, %v", first, err)
	}
	same, err := f.remember(Settings{})
	if err != nil || same.Name != "a" || *same.Partitions != 3 || same.Labels["k"] != "v" || len(same.Advertise) != 1 {
		t.Errorf("not remembered: %+v, %v", same, err)
	}
	other, err := f.remember(Settings{Listen: ":1", Partitions: &none, Labels: map[string]string{}, Advertise: []string{}})
	if err != nil || other.Name != "a" || other.Listen != ":1" || *other.Partitions != 0 || len(other.Labels) != 0 || len(other.Advertise) != 0 {
		t.Errorf("not replaced: %+v, %v", other, err)
	}
	if err := os.WriteFile(f.file("settings.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = f.remember(Settings{})
	says(t, err, "", "settings.json")
}

func TestReadInvitation(t *testing.T) {
	token := mesh.Token{CADigest: [32]byte{1}, Secret: [16]byte{2}}
	digest := mesh.Fingerprint{3}
	for _, tc := range []struct {
		name, address, token string
		digest               byte
		want                 []string // nil: it is understood
	}{
		{"with a token", "host:1", token.String(), 1, nil},
		{"with a fingerprint", "host:1#" + digest.String(), "", 3, nil},
		{"with neither", "host:1", "", 0, []string{"a token is needed", "HOST:PORT#FINGERPRINT"}},
		{"with a mistyped token", "host:1", token.String()[:40] + "7" + token.String()[41:], 0, []string{"token"}},
		{"with no token at all", "host:1", "please", 0, []string{"token", "slapd1-"}},
		{"to no address", "", token.String(), 0, []string{"address"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var join mesh.JoinConfig
			err := readInvitation(&join, tc.address, tc.token)
			if tc.want != nil {
				says(t, err, "", tc.want...)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := join.Fingerprint
			if join.Token != nil {
				got = (*mesh.Fingerprint)(&join.Token.CADigest)
			}
			if got[0] != tc.digest {
				t.Errorf("invited by %x", got)
			}
		})
	}
}

func TestKnownCA(t *testing.T) {
	f, err := openFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // the test is over
	if known, err := f.knownCA(); known != nil || err != nil || f.checkEmpty() != nil {
		t.Errorf("a new folder: %v, %v", known, err)
	}
	ca, err := mesh.NewCA("home", rand.Reader, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	identity, err := mesh.LoadOrCreateIdentity(f.path)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := ca.Issue(mesh.IssueRequest{PublicKey: identity.PublicKey(), Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if err := (mesh.Credentials{CertificateDER: certificate, CADER: ca.CertificateDER(), MeshName: "home"}).Save(f.path); err != nil {
		t.Fatal(err)
	}
	if known, err := f.knownCA(); err != nil || *known != ca.Digest() {
		t.Errorf("the folder's own mesh: %v, %v", known, err)
	}
	err = f.otherMesh(fmt.Errorf("join: %w", mesh.ErrOtherMesh))
	says(t, err, "", "belongs to mesh home", "--dir")
	if !errors.Is(err, mesh.ErrOtherMesh) {
		t.Errorf("%v does not match mesh.ErrOtherMesh", err)
	}
	says(t, f.checkEmpty(), "", "belongs to mesh home", "slapd run")
	if err := os.WriteFile(f.file("credentials.json"), []byte(`{"format": 99}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.knownCA(); err == nil || !strings.Contains(err.Error(), "upgrade") {
		t.Errorf("credentials of a newer slapd: %v", err)
	}
}

// TestRelayRate: what a flag says counts from then on, in bytes; what none says
// keeps its value, and at first is left to the mesh.
func TestRelayRate(t *testing.T) {
	f, err := openFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for _, tc := range []struct {
		given *int64
		want  int64
	}{{nil, 0}, {new(int64(20_000_000)), 2_500_000}, {nil, 2_500_000}} {
		s, err := f.remember(Settings{RelayRate: tc.given})
		if got := s.relayLimits().Rate; err != nil || got != tc.want {
			t.Errorf("given %v: %d, %v, want %d", tc.given, got, err, tc.want)
		}
	}
}
