package remote_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/remote"
)

// TestQuoteOfAMember: a peer that holds a slice asks a voter, for itself or for
// who showed it a token; a voter answers by itself.
func TestQuoteOfAMember(t *testing.T) {
	inMesh(t, three, func(m *mesh) {
		t := m.t
		m.admit("c1", ledger.RoleComputer, "bob", "b1")
		d := ledger.DigestOf([]byte("web"))
		m.must(ledger.AsPeer("v1"), ledger.Publish{Digest: d, Profile: []byte("web"), Name: "web"})
		m.must(ledger.AsPeer("v1"), ledger.Offer{Partitions: 2, Scope: ledger.ScopePersonal, Cores: 4000})
		digest := fmt.Appendf(nil, "%-32s", "anns")
		m.must(ledger.System(), ledger.CreateToken{ID: "u1", Digest: digest, Role: ledger.RoleUser, Uses: 1, Expires: noon.Add(time.Hour), Account: "ann"})
		transport := m.as("c1")
		defer transport.CloseIdleConnections()
		f := m.forwarder("c1", transport, nil)
		ask := ledger.Request{Reference: "db1", Release: d, Needs: ledger.Needs{Cores: 1000}}

		index := m.index
		q, err := f.Quote(t.Context(), remote.Credential{TokenDigest: digest}, index, nil, ask)
		if err != nil || q.Computer != "v1" || q.Owner != "ann" || q.Exists {
			t.Errorf("Ann's: %+v, %v", q, err)
		}
		if _, err := f.Quote(t.Context(), remote.Credential{}, index, nil, ask); !errors.Is(err, ledger.ErrExhausted) {
			t.Errorf("Bob's, on Ann's personal computer: %v", err)
		}
		if _, err := f.Quote(t.Context(), remote.Credential{TokenDigest: []byte("guessed")}, index, nil, ask); !errors.Is(err, ledger.ErrUnauthorized) {
			t.Errorf("a stranger's: %v", err)
		}
		publish := ledger.Publish{Digest: ledger.DigestOf([]byte("mail")), Profile: []byte("mail"), Name: "mail"}
		ask.Release = publish.Digest
		if _, err := f.Quote(t.Context(), remote.Credential{TokenDigest: digest}, index, &publish, ask); err != nil {
			t.Errorf("of what is not published: %v", err)
		}

		m.calls.Store(0)
		local := m.forwarder("v2", m.as("v2"), func(c *remote.ForwardConfig) { c.Local = m.local("v2") })
		ask.Release = d
		if q, err := local.Quote(t.Context(), remote.Credential{}, index, nil, ask); err != nil || q.Computer != "v1" || m.calls.Load() != 0 {
			t.Errorf("a voter's: %+v, %v after %d calls", q, err, m.calls.Load())
		}

		m.kill("v1")
		if _, err := f.Quote(t.Context(), remote.Credential{TokenDigest: digest}, index, nil, ask); err != nil {
			t.Errorf("with a voter less: %v", err)
		}
		if m.index != index {
			t.Errorf("quotes filled the log to %d", m.index)
		}
		// Nobody knows of what has not happened yet.
		if _, err := f.Quote(t.Context(), remote.Credential{TokenDigest: digest}, index+1, nil, ask); !errors.Is(err, ledger.ErrUnavailable) {
			t.Errorf("of the future: %v", err)
		}
		m.kill("v2")
		m.kill("v3")
		if _, err := f.Quote(t.Context(), remote.Credential{}, index, nil, ask); !errors.Is(err, ledger.ErrUnavailable) {
			t.Errorf("of nobody: %v", err)
		}
	})
}

// TestQuoteOfAStranger: who is not recognised from the connection gets no
// answer.
func TestQuoteOfAStranger(t *testing.T) {
	inMesh(t, three, func(m *mesh) {
		transport := m.as("x")
		defer transport.CloseIdleConnections()
		req, err := http.NewRequestWithContext(m.t.Context(), http.MethodPost, "http://v1/ledger/v1/quote", http.NoBody)
		if err != nil {
			m.t.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			m.t.Fatal(err)
		}
		defer resp.Body.Close() //nolint:errcheck // read only
		if resp.StatusCode != http.StatusUnauthorized {
			m.t.Errorf("status %s", resp.Status)
		}
		f := m.forwarder("x", transport, nil)
		_, err = f.Quote(m.t.Context(), remote.Credential{}, 0, nil, ledger.Request{Reference: "a", Release: ledger.DigestOf(nil)})
		if !errors.Is(err, ledger.ErrUnauthorized) {
			m.t.Errorf("a peer that is no member: %v", err)
		}
	})
}
