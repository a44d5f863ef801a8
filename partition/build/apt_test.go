package build

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHostEntries(t *testing.T) {
	etc := t.TempDir()
	for name, content := range map[string]string{
		"sources.list": `# deb http://commented/debian bookworm main
deb http://mirror.example/debian bookworm main contrib
deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://frozen.example/20250101 bookworm main # dated
deb-src http://mirror.example/debian bookworm main
deb http://other.example/apt stable main
deb [signed-by=/k/vendor.gpg] http://vendor.example/debian stable main
deb cdrom:[Debian]/debian bookworm main
deb [unclosed http://mirror.example/debian bookworm main
deb http://mirror.example/debian ./
`,
		"sources.list.d/debian.sources": `Types: deb deb-src
URIs: http://one.example/debian http://two.example/debian/
Suites: trixie trixie-updates
# a comment
Components: main
 non-free-firmware
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: trixie
Components: main

Types: deb
URIs: mirror+file:/etc/apt/mirrors/debian-security.list
Suites: trixie-security
Components: main
`,
		"sources.list.d/ignored.txt": "deb http://ignored.example/debian x main\n",
	} {
		full := filepath.Join(etc, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := hostEntries(etc)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[http://mirror.example/debian] [bookworm] [main contrib]
[http://frozen.example/20250101] [bookworm] [main]
[http://one.example/debian http://two.example/debian/] [trixie trixie-updates] [main non-free-firmware]
[mirror+file:/etc/apt/mirrors/debian-security.list] [trixie-security] [main]
`
	var got strings.Builder
	for _, e := range entries {
		fmt.Fprintln(&got, e.URIs, e.Suites, e.Components)
	}
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
	if _, err := hostEntries(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no entry of the Debian archive in") {
		t.Errorf("none: %v", err)
	}
}

// TestWriteEntries holds that nothing is read that Debian has not signed,
// whatever the computer trusts otherwise.
func TestWriteEntries(t *testing.T) {
	text, err := writeEntries([]entry{{[]string{"http://m.example/debian"}, []string{"bookworm"}, []string{"main"}, []string{"/nonexistent/debian-archive-keyring.gpg"}}})
	if err != nil {
		t.Skip("no keys of Debian on this computer:", err)
	}
	if !strings.Contains(text, "\nSigned-By: /usr/share/keyrings/debian-archive-keyring.") || strings.Contains(text, "rusted") {
		t.Errorf("got %s", text)
	}
}

func TestParseURIs(t *testing.T) {
	sum := strings.Repeat("0a", 32)
	got, err := parseURIs("Reading package lists...\nNeed to get 3 B.\n" +
		"'http://m.example/pool/z/zlib1g_1.2_amd64.deb' zlib1g_1%3a1.2.13.dfsg-1_amd64.deb 86684 SHA256:" + sum + "\n")
	if err != nil || len(got) != 1 || got[0] != (Package{"zlib1g", "1:1.2.13.dfsg-1", sum, 86684}) {
		t.Errorf("got %v %v", got, err)
	}
	for _, line := range []string{
		"'http://x' a_1_amd64.deb 1 MD5Sum:" + sum,
		"'http://x' a_1_amd64.deb 1 ",
		"'http://x' a_1_amd64.deb -1 SHA256:" + sum,
		"'http://x' a.deb 1 SHA256:" + sum,
		"'http://x' a_1_amd64.deb 1 SHA256:" + sum[2:],
		"'http://x' a_%zz_amd64.deb 1 SHA256:" + sum,
	} {
		if got, err := parseURIs(line + "\n"); err == nil {
			t.Errorf("%s: got %v", line, got)
		}
	}
}

func FuzzParseURIs(f *testing.F) {
	f.Add("'u' a_1%3a2_all.deb 3 SHA256:" + strings.Repeat("0a", 32) + "\n")
	f.Add("'\n")
	f.Fuzz(func(t *testing.T, out string) {
		packages, err := parseURIs(out)
		for _, p := range packages {
			if err == nil && (len(p.SHA256) != 64 || p.Size < 0) {
				t.Errorf("got %v", p)
			}
		}
	})
}

func FuzzHostEntries(f *testing.F) {
	f.Add("deb [signed-by=a,b] http://x/debian y z\n", "Types: deb\nURIs: a\n b\n")
	f.Add("deb [", " folded\nTypes")
	f.Fuzz(func(t *testing.T, list, sources string) {
		for _, e := range append(parseList(list), parseSources(sources)...) {
			if e.ofDebian() && (len(e.URIs) == 0 || len(e.Suites) == 0) {
				t.Errorf("got %v", e)
			}
		}
	})
}

func TestStub(t *testing.T) {
	got := stub("Package: perl-base\nEssential: yes\nVersion: 5.36\nProvides: perlapi-5.36.0\nPre-Depends: libc6\nArchitecture: amd64\nDescription: Perl\n long\n")
	const want = "Package: perl-base\nVersion: 5.36+pruned\nProvides: perlapi-5.36.0\nArchitecture: amd64\n" +
		"Status: install ok installed\nMaintainer: none\nDescription: pruned\n\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestExplain(t *testing.T) {
	a := &apt{dir: t.TempDir()}
	failed := errors.New("exit status 100")
	tests := []struct{ stderr, want string }{
		{"E: Unable to locate package mysqld\n", "apt: no package mysqld in the Debian archive that this computer uses: look for it with apt-cache search"},
		{"E: Package 'foo' has no installation candidate\n", "apt: no package foo in the Debian archive that this computer uses: look for it with apt-cache search"},
		{"W: odd\nE: Write error - write (28: No space left on device)\n", "apt: no space left in "},
		{"E: one\nE: two\n", "apt: one; two"},
		{"killed\n", "apt-get: exit status 100: killed"},
	}
	for _, test := range tests {
		if got := a.explain("apt-get", failed, test.stderr).Error(); !strings.HasPrefix(got, test.want) {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

func ExampleProgress() {
	fmt.Println(Progress{Step: StepDownload, Total: 45, Bytes: 4_600_000, Size: 24_700_000, Rate: 11_400_000})
	fmt.Println(Progress{Step: StepUnpack, Done: 7, Total: 45})
	fmt.Println(Progress{Step: StepIndex, Message: "waiting for another build on this computer"})
	// Output:
	// downloading 45 packages: 4.6 MB of 24.7 MB, 11.4 MB/s
	// unpacking 7 of 45 packages
	// reading the lists of packages (waiting for another build on this computer)
}
