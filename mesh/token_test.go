package mesh_test

import (
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/mesh"
)

func testToken() mesh.Token {
	var t mesh.Token
	copy(t.CADigest[:], "the digest of the CA, 32 bytes..")
	copy(t.Secret[:], "sixteen bytes!!!")
	return t
}

func TestTokenRoundTrip(t *testing.T) {
	want := testToken()
	for _, s := range []string{want.String(), "  " + strings.ToUpper(want.String()) + "\n"} {
		got, err := mesh.ParseToken(s)
		if err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	f := mesh.Fingerprint(want.CADigest)
	if got, err := mesh.ParseFingerprint(f.String()); err != nil || got != f {
		t.Errorf("%v, %v", got, err)
	}
}

func TestTokenMalformed(t *testing.T) {
	good := testToken().String()
	typo := func(i int, c byte) string {
		b := []byte(good)
		if b[i] == c {
			c++
		}
		b[i] = c
		return string(b)
	}
	for name, tc := range map[string]struct{ token, want string }{
		"empty":           {"", `does not begin with "slapd1-"`},
		"something else":  {"hunter2", `does not begin with "slapd1-"`},
		"a newer kind":    {"slapd9-abc", "upgrade slapd"},
		"cut off":         {good[:40], "was it cut off?"},
		"too long":        {good + "a", "was it cut off?"},
		"foreign letter":  {typo(20, '1'), `character '1' does not belong in it`},
		"mistyped":        {typo(20, 'a'), "mistyped somewhere"},
		"mistyped secret": {typo(70, 'b'), "mistyped somewhere"},
		"mistyped end":    {typo(len(good)-1, 'c'), "mistyped somewhere"},
	} {
		if _, err := mesh.ParseToken(tc.token); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q in it", name, err, tc.want)
		}
	}
}

func TestParseAddress(t *testing.T) {
	f := mesh.Fingerprint{1, 2, 3}
	for in, want := range map[string]string{
		"example.com":                 "example.com:7527",
		"example.com:99":              "example.com:99",
		"10.0.0.1:7527#" + f.String(): "10.0.0.1:7527",
		"2001:db8::1":                 "[2001:db8::1]:7527",
		"[2001:db8::1]":               "[2001:db8::1]:7527",
		"[2001:db8::1]:80":            "[2001:db8::1]:80",
	} {
		got, fingerprint, err := mesh.ParseAddress(in)
		if err != nil || got != want || (fingerprint != nil) != strings.Contains(in, "#") {
			t.Errorf("%s: %q, %v, %v", in, got, fingerprint, err)
		}
	}
	for _, in := range []string{"", ":7527", "a:b:c", "host:0", "host:99999", "host:http", "host#", "host#" + f.String()[1:]} {
		if got, _, err := mesh.ParseAddress(in); err == nil {
			t.Errorf("%s: read as %q", in, got)
		}
	}
}
