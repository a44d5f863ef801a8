package source

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/partition/release"
)

func TestIsPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"93.184.215.14": true, "1.1.1.1": true, "2606:4700::1111": true, "172.32.0.1": true, "::ffff:1.1.1.1": true, "100.128.0.1": true,
		"127.0.0.1": false, "127.64.3.7": false, "127.127.0.9": false, "0.0.0.0": false, "0.1.2.3": false,
		"10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false,
		"224.0.0.1": false, "255.255.255.255": false, "198.18.0.1": false, "240.0.0.1": false, "192.0.0.170": false,
		"::1": false, "::": false, "fe80::1": false, "fe80::1%eth0": false, "fd00::1": false, "fec0::1": false, "ff02::1": false,
		"::ffff:127.0.0.1": false, "::127.0.0.1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "2001:0:7f00:1::": false,
		"fd00:ec2::254": false,
	} {
		if got := isPublic(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s is public: %v, want %v", address, got, want)
		}
	}
}

// TestPrivate has profiles name what only this computer can reach, in every way
// that there is, and counts who was asked.
func TestPrivate(t *testing.T) {
	var asked atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusNotFound)
	}))
	defer inside.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(inside.URL, "http://"), ":")
	leads := httptest.NewServer(http.RedirectHandler(inside.URL+"/secret", http.StatusFound))
	defer leads.Close()
	digest, commit := strings.Repeat("ab", 32), strings.Repeat("ab", 20)
	archive := func(from string) release.Source {
		return release.Source{Kind: release.SourceArchive, URL: from, Digest: digest, Into: "x"}
	}
	lock := `{"lockfileVersion":3,"packages":{"node_modules/x":{"version":"1.0.0","resolved":"` + inside.URL +
		`/x.tgz","integrity":"sha512-` + strings.Repeat("A", 86) + `=="}}}`
	tests := map[string]struct {
		source release.Source
		set    Fetcher
		says   string
	}{
		"an address":    {source: archive(inside.URL + "/x")},
		"a name":        {source: archive("http://localhost:" + port + "/x")},
		"IPv4 in IPv6":  {source: archive("http://[::ffff:127.0.0.1]:" + port + "/x")},
		"the metadata":  {source: archive("http://169.254.169.254/latest/meta-data")},
		"a file":        {source: archive("file:///etc/passwd"), says: "may not name files"},
		"a redirect":    {source: archive(leads.URL + "/x"), set: Fetcher{NPM: leads.URL}},
		"through proxy": {source: archive(inside.URL + "/x"), set: Fetcher{Environ: []string{"HTTP_PROXY=" + leads.URL}}},
		"a registry":    {source: release.Source{Kind: release.SourceOCI, URL: "localhost:" + port + "/x/y", Digest: "sha256:" + digest}},
		"a lock": {source: release.Source{
			Kind: release.SourceNPM, Into: "x", Files: map[string][]byte{release.NPMLock: []byte(lock)},
		}},
		"a repository":      {source: release.Source{Kind: release.SourceGit, URL: inside.URL + "/x.git", Digest: commit, Into: "x"}},
		"a local one":       {source: release.Source{Kind: release.SourceGit, URL: "file:///srv/x.git", Digest: commit, Into: "x"}, says: "may not name files"},
		"one over TLS":      {source: release.Source{Kind: release.SourceGit, URL: "https://127.0.0.1:" + port + "/x.git", Digest: commit, Into: "x"}},
		"one of the mesh's": {source: release.Source{Kind: release.SourceGit, URL: "http://127.64.0.1/x.git", Digest: commit, Into: "x"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath("git"); err != nil && test.source.Kind == release.SourceGit {
				t.Skip("skipped: git is not on this computer")
			}
			asked.Store(0)
			f := test.set
			f.Dir, f.Clock, f.Arch = t.TempDir(), time.Now, "amd64"
			_, err := f.Fetch(t.Context(), test.source, func(p Progress) {
				if strings.Contains(p.What, "again") {
					t.Errorf("it was tried again: %s", p.What)
				}
			})
			if test.says == "" {
				test.says = "--private-sources"
			}
			if err == nil || !strings.Contains(err.Error(), test.says) || asked.Load() != 0 {
				t.Errorf("%d were asked; error %v, want %q", asked.Load(), err, test.says)
			}
		})
	}
}

// TestRelay has git asked through the relay what its owner allows, and nobody
// else let through.
func TestRelay(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Proxy-Authorization") != "" {
			t.Error("the relay's secret is passed on")
		}
		w.WriteHeader(http.StatusTeapot)
	}))
	defer server.Close()
	r, err := openRelay(t.Context(), (&Fetcher{Private: true}).guard())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.close() }()
	ask := func(user *url.Userinfo) int {
		through := &url.URL{Scheme: "http", Host: r.listen.Addr().String(), User: user}
		c := http.Client{Transport: &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return through, nil }}}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := c.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	if got := ask(nil); got != http.StatusProxyAuthRequired || asked.Load() != 0 {
		t.Errorf("without the secret: %d, %d were asked", got, asked.Load())
	}
	if got := ask(url.UserPassword("slapd", r.secret)); got != http.StatusTeapot || asked.Load() != 1 {
		t.Errorf("with the secret: %d, %d were asked", got, asked.Load())
	}
	tls := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer tls.Close()
	straight, through := (&Fetcher{Private: true}).guard(), (&Fetcher{Private: true}).guard()
	through.proxy = func(*url.URL) (*url.URL, error) { // the relay as if it were the owner's proxy
		return &url.URL{Scheme: "http", Host: r.listen.Addr().String(), User: url.UserPassword("slapd", r.secret)}, nil
	}
	for name, g := range map[string]*guard{"straight": straight, "through a proxy": through} {
		c, err := g.tunnel(t.Context(), strings.TrimPrefix(tls.URL, "https://"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_ = c.Close()
	}
	var refused *PrivateError
	if _, err := (&Fetcher{}).guard().tunnel(t.Context(), "127.0.0.1:9"); !errors.As(err, &refused) {
		t.Errorf("a tunnel into this computer: %v", err)
	}
}
