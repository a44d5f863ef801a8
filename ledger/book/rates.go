package book

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"
)

// A Rate is a price for one unit of something, in pico-credits: a millionth
// of a micro-credit.
type Rate int64

// rateDigits is how many decimals of a credit a rate has.
const rateDigits = 12

// MaxRate is the highest rate: a million credits for one unit.
const MaxRate Rate = 1_000_000_000_000_000_000

// String returns the rate in credits, with two to twelve decimals.
func (r Rate) String() string { return decimal(int64(r), rateDigits) }

// ParseRate reads a decimal number of credits with at most twelve decimals.
func ParseRate(text string) (Rate, error) {
	n, err := parseDecimal(text, rateDigits)
	return Rate(n), err
}

// Rates are what somebody asks for what is used. A rate for a second or a
// byte is the one for an hour or a GiB, divided: so both can be said exactly.
type Rates struct {
	Core      Rate            `cbor:"1,keyasint,omitempty" json:"core_hour"`         // per hour of one core
	Memory    Rate            `cbor:"2,keyasint,omitempty" json:"memory_gib_hour"`   // per GiB and hour
	Disk      Rate            `cbor:"3,keyasint,omitempty" json:"disk_gib_hour"`     // per GiB and hour
	Network   Rate            `cbor:"4,keyasint,omitempty" json:"network_gib"`       // per GiB, in or out
	Partition Rate            `cbor:"5,keyasint,omitempty" json:"partition_hour"`    // per hour that a partition is held
	Request   Rate            `cbor:"6,keyasint,omitempty" json:"request"`           // once for each instance
	Metrics   map[string]Rate `cbor:"7,keyasint,omitempty" json:"metrics,omitempty"` // per unit of what a release counts
}

// MaxMetrics is how many metrics may have a rate.
const MaxMetrics = 16

// Check refuses rates that are negative or absurd.
func (r Rates) Check() error {
	if len(r.Metrics) > MaxMetrics {
		return fmt.Errorf("rates: %d metrics, at most %d", len(r.Metrics), MaxMetrics)
	}
	named := []struct {
		name string
		rate Rate
	}{
		{"core", r.Core},
		{"memory", r.Memory},
		{"disk", r.Disk},
		{"network", r.Network},
		{"partition", r.Partition},
		{"request", r.Request},
	}
	for _, name := range slices.Sorted(maps.Keys(r.Metrics)) {
		named = append(named, struct {
			name string
			rate Rate
		}{"metric " + name, r.Metrics[name]})
	}
	for _, n := range named {
		switch {
		case n.rate < 0:
			return fmt.Errorf("rates: %s: %s is negative", n.name, n.rate)
		case n.rate > MaxRate:
			return fmt.Errorf("rates: %s: %s is more than %s", n.name, n.rate, MaxRate)
		}
	}
	return nil
}

// Zero reports whether nothing costs anything.
func (r Rates) Zero() bool {
	for _, rate := range r.Metrics {
		if rate != 0 {
			return false
		}
	}
	return r.Core == 0 && r.Memory == 0 && r.Disk == 0 && r.Network == 0 && r.Partition == 0 && r.Request == 0
}

// Equal reports whether both ask the same.
func (r Rates) Equal(s Rates) bool {
	return r.Core == s.Core && r.Memory == s.Memory && r.Disk == s.Disk && r.Network == s.Network &&
		r.Partition == s.Partition && r.Request == s.Request && maps.Equal(r.Metrics, s.Metrics)
}

// Quantities are how much of what has a rate was used.
type Quantities struct {
	Core      uint64            `cbor:"1,keyasint,omitempty" json:"core_ns"`             // nanoseconds of processor time
	Memory    uint64            `cbor:"2,keyasint,omitempty" json:"memory_byte_seconds"` //
	Disk      uint64            `cbor:"3,keyasint,omitempty" json:"disk_byte_seconds"`   //
	Network   uint64            `cbor:"4,keyasint,omitempty" json:"network_bytes"`       //
	Partition uint64            `cbor:"5,keyasint,omitempty" json:"partition_ns"`        // nanoseconds that it was held
	Requests  uint64            `cbor:"6,keyasint,omitempty" json:"requests"`            //
	Metrics   map[string]uint64 `cbor:"7,keyasint,omitempty" json:"metrics,omitempty"`   //
}

// Plus returns the sum of both, or ErrRange.
func (q Quantities) Plus(p Quantities) (Quantities, error) {
	sum, over := q, false
	add := func(to *uint64, n uint64) {
		s, carry := bits.Add64(*to, n, 0)
		*to, over = s, over || carry != 0
	}
	add(&sum.Core, p.Core)
	add(&sum.Memory, p.Memory)
	add(&sum.Disk, p.Disk)
	add(&sum.Network, p.Network)
	add(&sum.Partition, p.Partition)
	add(&sum.Requests, p.Requests)
	if len(p.Metrics) > 0 {
		sum.Metrics = make(map[string]uint64, len(q.Metrics)+len(p.Metrics))
		maps.Copy(sum.Metrics, q.Metrics)
		for name, n := range p.Metrics {
			m := sum.Metrics[name]
			add(&m, n)
			sum.Metrics[name] = m
		}
	}
	if over {
		return q, fmt.Errorf("quantities: %w", ErrRange)
	}
	return sum, nil
}

// How many of the unit of a quantity make the unit of its rate.
const (
	nanosPerHour       = 3_600_000_000_000
	bytesPerGiB        = 1 << 30
	byteSecondsGiBHour = bytesPerGiB * 3600
	picosPerMicro      = 1_000_000
)

// A Rest is what was not billed because it is less than a micro-credit, in
// pico-credits.
type Rest uint32

// Cost returns what q costs. The rest of the last time is added, and what is
// less than a micro-credit is returned to be added the next time. Each of the
// quantities loses less than a pico-credit.
func (r Rates) Cost(q Quantities, rest Rest) (Amount, Rest, error) {
	if rest >= picosPerMicro {
		return 0, 0, errors.New("cost: the rest is a micro-credit or more")
	}
	sum := wide{lo: uint64(rest)}
	sum.add(r.Core, q.Core, nanosPerHour)
	sum.add(r.Memory, q.Memory, byteSecondsGiBHour)
	sum.add(r.Disk, q.Disk, byteSecondsGiBHour)
	sum.add(r.Network, q.Network, bytesPerGiB)
	sum.add(r.Partition, q.Partition, nanosPerHour)
	sum.add(r.Request, q.Requests, 1)
	for name, rate := range r.Metrics { // a sum does not depend on the order
		sum.add(rate, q.Metrics[name], 1)
	}
	if sum.hi >= picosPerMicro {
		return 0, 0, fmt.Errorf("cost: %w", ErrRange)
	}
	micros, picos := bits.Div64(sum.hi, sum.lo, picosPerMicro)
	if micros > math.MaxInt64 {
		return 0, 0, fmt.Errorf("cost: %w", ErrRange)
	}
	return Amount(micros), Rest(picos), nil
}

// wide is a number of 128 bits. It sticks at the highest.
type wide struct{ hi, lo uint64 }

// add adds rate times n, divided by per and rounded down.
func (w *wide) add(rate Rate, n, per uint64) {
	hi, lo := bits.Mul64(uint64(max(0, rate)), n)
	quotient := wide{hi: hi / per}
	quotient.lo, _ = bits.Div64(hi%per, lo, per)
	var carry uint64
	w.lo, carry = bits.Add64(w.lo, quotient.lo, 0)
	if w.hi, carry = bits.Add64(w.hi, quotient.hi, carry); carry != 0 {
		w.hi, w.lo = math.MaxUint64, math.MaxUint64
	}
}
