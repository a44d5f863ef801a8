package main_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/protocol"
)

// TestMetrics scrapes a peer that runs an instance, as Prometheus would: with a
// token of an operator it is told everything, with another's or none nothing.
func TestMetrics(t *testing.T) {
	t.Parallel()
	downloaded(t, "memcached")
	n := newNetwork(t)
	w := newWorld(t, n)
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(_ context.Context, _, address string) (net.Conn, error) { return n.dial(address) },
	}}
	a := w.start("a", "init", "--partitions", "1").up()
	if r := a.slapd("request", "memcached", "cache", "--wait=2m"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	scrape := func(token string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.status.API+"/metrics", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	if code, body := scrape(""); code != http.StatusUnauthorized {
		t.Errorf("without a token: %d %s", code, body)
	}
	if code, body := scrape(a.token(protocol.TokenInput{Account: "eve", Role: protocol.RoleUser})); code != http.StatusForbidden {
		t.Errorf("another account: %d %s", code, body)
	}
	mine := a.token(protocol.TokenInput{Role: protocol.RoleUser})
	w.until("all is told", func() error {
		code, body := scrape(mine)
		if code != http.StatusOK {
			return fmt.Errorf("%d %s", code, body)
		}
		const of = `account="operator",instance="cache",partition="p0",release="memcached"`
		for _, line := range []string{
			"slapd_quorum 1", "slapd_leader 1", "slapd_partitions 1",
			"slapd_instance_state{" + of + `,state="started"} 1`,
			"slapd_instance_healthy{" + of + "} 1", "slapd_instance_failures{" + of + "} 0",
			`slapd_service_ready{account="operator",instance="cache",partition="p0",release="memcached",service="memcached"} 1`,
			`slapd_promise_holds{account="operator",instance="cache",partition="p0",promise="answers",release="memcached"} 1`,
			"slapd_instance_memory_bytes{" + of + "} ", "process_resident_memory_bytes ", "go_goroutines ",
		} {
			if !strings.Contains(body, "\n"+line) {
				return fmt.Errorf("no %s in\n%s", line, body)
			}
		}
		return nil
	})
}
