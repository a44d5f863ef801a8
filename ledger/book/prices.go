package book

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"
)

// A PriceVersion says what somebody asks from a moment on.
type PriceVersion struct {
	From  time.Time `cbor:"1,keyasint" json:"from"`
	Rates Rates     `cbor:"2,keyasint" json:"rates"`
}

// A PriceList is what somebody asks, and asked, by time. Before its first
// version everything is free. It is a value: With returns another one.
type PriceList []PriceVersion

// MaxVersions is how many versions a list holds. The oldest are forgotten:
// what was used under them has long been billed.
const MaxVersions = 64

// ErrPast refuses a price for what has been used already.
var ErrPast = errors.New("a price cannot begin in the past")

// At returns the rates in force at a moment.
func (l PriceList) At(t time.Time) Rates {
	n := sort.Search(len(l), func(i int) bool { return l[i].From.After(t) })
	if n == 0 {
		return Rates{}
	}
	return l[n-1].Rates
}

// With returns the list with other rates from a moment on, which must not be
// before now. Versions that were to begin later are dropped: what is said last
// holds.
func (l PriceList) With(now, from time.Time, rates Rates) (PriceList, error) {
	if from.Before(now) {
		return nil, fmt.Errorf("price from %s, now is %s: %w", from.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), ErrPast)
	}
	if err := rates.Check(); err != nil {
		return nil, err
	}
	n := sort.Search(len(l), func(i int) bool { return !l[i].From.Before(from) })
	list := append(slices.Clone(l[:n]), PriceVersion{from, rates})
	return list[max(0, len(list)-MaxVersions):], nil
}
