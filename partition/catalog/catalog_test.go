package catalog_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/partition/catalog"
	"github.com/slapmesh/slapmesh/partition/release"
)

func input() release.Input {
	return release.Input{
		Reference: "one", Address: netip.MustParseAddr("127.64.0.1"), Parameters: map[string]json.RawMessage{},
		Secret: func(name string) string { return "SECRET" + strings.ToUpper(name) },
	}
}

// TestItems holds what every profile of the catalogue promises.
func TestItems(t *testing.T) {
	for _, item := range catalog.Items() {
		r := item.Release
		t.Run(r.Name, func(t *testing.T) {
			d, err := catalog.Rehearse(r, input())
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(d.Published["url"], "@127.64.0.1:") && !strings.Contains(d.Published["url"], "//127.64.0.1:") {
				t.Errorf("url %s", d.Published["url"])
			}
			if len(d.Promises) == 0 || len(d.Promises[0].Probe.Exec) == 0 && d.Promises[0].Probe.HTTP == "" {
				t.Error("no promise asks the server")
			}
			if len(d.Services) != 1 || len(d.Services[0].Ports) != 1 || r.Description == "" || len(r.Parameters) == 0 {
				t.Errorf("services %v, description %q", d.Services, r.Description)
			}
			if len(d.Metrics) == 0 {
				t.Error("it counts nothing")
			}
			for _, m := range d.Metrics {
				if strings.Contains(strings.Join(m.Exec, " "), "SECRET") {
					t.Errorf("metric %+v", m)
				}
			}
			for _, s := range d.Services {
				for _, word := range s.Argv {
					if strings.Contains(word, "SECRET") || strings.Contains(word, "0.0.0.0") {
						t.Errorf("argument %q is seen by all, or listens to all", word)
					}
				}
			}
			again, err := release.DecodeBundle(item.Bundle.Encode())
			if err != nil || again.Digest() != r.Digest() {
				t.Errorf("digest %s, decoded %v (%v)", r.Digest(), again.Digest(), err)
			}
		})
	}
	if _, ok := catalog.Lookup("mariadb"); !ok {
		t.Error("mariadb is not in the catalogue")
	}
	if _, ok := catalog.Lookup("mariadbb"); ok {
		t.Error("mariadbb is in the catalogue")
	}
}

// BenchmarkLoadAndEvaluate is what a request costs before anything starts;
// the aim is 1 ms at most.
func BenchmarkLoadAndEvaluate(b *testing.B) {
	for _, item := range catalog.Items() {
		encoded := item.Bundle.Encode()
		b.Run(item.Release.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bundle, err := release.DecodeBundle(encoded)
				if err != nil {
					b.Fatal(err)
				}
				r, err := release.Load(bundle)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := r.Evaluate(input()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEvaluate is what a change of a parameter costs.
func BenchmarkEvaluate(b *testing.B) {
	item, ok := catalog.Lookup("mariadb")
	if !ok {
		b.Fatal("no mariadb")
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := item.Release.Evaluate(input()); err != nil {
			b.Fatal(err)
		}
	}
}

func Example() {
	for _, item := range catalog.Items() {
		fmt.Println(item.Release.Name, item.Release.Version, item.Release.Sources[0].Packages)
	}
	// Output:
	// apache 2.4 [apache2-bin media-types]
	// haproxy 2.6 [haproxy]
	// mariadb 10.11 [mariadb-server-core mariadb-client-core]
	// memcached 1.6 [memcached]
	// nginx 1.22 [nginx]
	// postgresql 15 [postgresql-15 postgresql-client-15]
	// redis 7.0 [redis-server redis-tools]
	// wordpress 6.1 [wordpress wordpress-theme-twentytwentythree apache2-bin libapache2-mod-php8.2 php8.2-cli php8.2-curl php8.2-gd php8.2-mbstring php8.2-mysql php8.2-opcache php8.2-xml php8.2-zip media-types ca-certificates]
}
