package ledger

import (
	"crypto/ed25519"
	"fmt"
	"maps"
	"math/bits"
	"time"
)

// A Usage is what one instance used during one period, as its computer
// measured it.
type Usage struct {
	Core    uint64            `cbor:"1,keyasint,omitempty"` // processor time, in nanoseconds
	Memory  uint64            `cbor:"2,keyasint,omitempty"` // byte-seconds
	Disk    uint64            `cbor:"3,keyasint,omitempty"` // byte-seconds
	Network uint64            `cbor:"4,keyasint,omitempty"` // bytes, in and out
	Metrics map[string]uint64 `cbor:"5,keyasint,omitempty"` // what the release's profile has counted
}

// part returns what was used in the first part of a period, if it was used
// evenly: nobody knows better.
func (u Usage) part(of, whole time.Duration) Usage {
	if whole <= 0 || of >= whole {
		return u
	}
	share := func(n uint64) uint64 {
		hi, lo := bits.Mul64(n, uint64(max(0, of)))
		q, _ := bits.Div64(hi, lo, uint64(whole)) // fits: of is less than whole
		return q
	}
	u.Core, u.Memory, u.Disk, u.Network = share(u.Core), share(u.Memory), share(u.Disk), share(u.Network)
	u.Metrics = maps.Clone(u.Metrics)
	for name, n := range u.Metrics {
		u.Metrics[name] = share(n)
	}
	return u
}

// A UsageEntry is the usage of one instance.
type UsageEntry struct {
	Instance InstanceID `cbor:"1,keyasint"`
	Usage    Usage      `cbor:"2,keyasint"`
}

// A UsageReport is what the instances of one computer used from one moment to
// another. A computer numbers its reports from 1, without gaps, and each
// begins when the one before ended or later. Each is billed once, in the
// order of the numbers, in whatever order they arrive.
type UsageReport struct {
	Mesh     string       `cbor:"1,keyasint"` // id
	Computer ComputerID   `cbor:"2,keyasint"`
	Number   uint64       `cbor:"3,keyasint"`
	From     time.Time    `cbor:"4,keyasint"`
	To       time.Time    `cbor:"5,keyasint"`
	Entries  []UsageEntry `cbor:"6,keyasint,omitempty"` // by instance, ascending
}

// Bounds on a usage report.
const (
	MaxUsageEntries = MaxPartitions
	MaxUsageBytes   = 1 << 20
	MaxUsagePeriod  = 24 * time.Hour
	MaxMetrics      = 16 // of one instance
)

// usageContext separates the signature of a usage report from every other
// signature by the same key.
const usageContext = "slapmesh usage report 1\n"

// Sign returns the report in its one byte form, signed with the Ed25519 key of
// its computer.
func (r UsageReport) Sign(sign func(message []byte) []byte) (SignedUsage, error) {
	data, err := encode(r)
	if err != nil {
		return SignedUsage{}, fmt.Errorf("encode usage report %d: %w", r.Number, err)
	}
	return SignedUsage{data, sign(append([]byte(usageContext), data...))}, nil
}

// A SignedUsage is a usage report with its computer's signature. Who carries
// it does not matter.
type SignedUsage struct {
	Report    []byte `cbor:"1,keyasint"` // CBOR of a UsageReport
	Signature []byte `cbor:"2,keyasint"` // Ed25519, over a fixed context and Report
}

// Open checks the signature and returns the report.
func (s SignedUsage) Open(key ed25519.PublicKey) (UsageReport, error) {
	var r UsageReport
	switch {
	case len(s.Report) > MaxUsageBytes:
		return r, refuse(ErrInvalid, "usage report: %d bytes, at most %d", len(s.Report), MaxUsageBytes)
	case len(key) != ed25519.PublicKeySize:
		return r, refuse(ErrInternal, "usage report: the computer's key has %d bytes", len(key))
	case !ed25519.Verify(key, append([]byte(usageContext), s.Report...), s.Signature):
		return r, refuse(ErrForbidden, "usage report: the signature is not that of its computer")
	}
	if err := decode(s.Report, &r); err != nil {
		return r, refuse(ErrInvalid, "usage report: %v", err)
	}
	return r, nil
}
