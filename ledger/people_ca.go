package ledger

import (
	"bytes"
	"slices"
	"time"
)

// A CA is a key that signs the certificates of peers, or did. The ledger keeps
// its certificate as it is; peers check that each was signed by the one before.
type CA struct {
	Certificate []byte    `cbor:"1,keyasint"`
	Since       time.Time `cbor:"2,keyasint"`
	Until       time.Time `cbor:"3,keyasint"` // what it signed counts until then; zero for the last
}

const (
	// MaxCAs bounds how many the ledger remembers; the oldest is forgotten.
	MaxCAs = 8

	// MaxGrace bounds how long a former CA is trusted.
	MaxGrace = 30 * 24 * time.Hour

	maxCertificate = 4096
)

// RotateCA replaces the mesh's CA. What the former one signed counts until a
// time, and only for those that the ledger knows.
type RotateCA struct {
	Former      []byte    `cbor:"1,keyasint"` // its certificate
	Certificate []byte    `cbor:"2,keyasint"`
	Until       time.Time `cbor:"3,keyasint"`
}

// Kind returns "rotate-ca".
func (RotateCA) Kind() string { return "rotate-ca" }

func (RotateCA) rules() uint64 { return RulesOfGroups }

func (c RotateCA) decide(s *State, x Context) ([]Event, error) {
	mesh, _ := s.Mesh()
	cas := slices.Clone(mesh.CAs)
	if len(cas) == 0 {
		cas = []CA{{Certificate: c.Former, Since: mesh.Created}}
	}
	last := &cas[len(cas)-1]
	switch {
	case !x.Principal.Operator:
		return nil, refuse(ErrForbidden, "rotate CA: only an operator does")
	case len(c.Former) == 0 || len(c.Former) > maxCertificate || len(c.Certificate) == 0 || len(c.Certificate) > maxCertificate:
		return nil, refuse(ErrInvalid, "rotate CA: certificates of %d and %d bytes, 1 to %d expected", len(c.Former), len(c.Certificate), maxCertificate)
	case bytes.Equal(last.Certificate, c.Certificate):
		return nil, nil // a retry
	case !bytes.Equal(last.Certificate, c.Former):
		return nil, refuse(ErrConflict, "rotate CA: it was rotated meanwhile: look again")
	case c.Until.After(x.At.Add(MaxGrace)):
		return nil, refuse(ErrInvalid, "rotate CA: the former one would be trusted until %s: %d days at most", c.Until.UTC().Format(time.RFC3339), MaxGrace/(24*time.Hour))
	}
	last.Until = c.Until.UTC()
	if x.At.After(last.Until) {
		last.Until = x.At
	}
	cas = append(cas, CA{Certificate: c.Certificate, Since: x.At})
	return []Event{CARotated{cas[max(0, len(cas)-MaxCAs):]}}, nil
}
