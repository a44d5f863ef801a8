package protocol

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
)

// How many decimals a number about money may have.
const (
	SumDecimals  = 6  // of a credit, in a balance or a payment
	RateDecimals = 12 // of a credit, in a price for a unit
	FeeDecimals  = 4  // of a percentage
)

// Bounds on what a request about money may carry.
const (
	maxMetrics = 16
	maxNote    = 1024
	maxTerm    = 365 * 24 * time.Hour
)

// CheckDecimal refuses text that is not a decimal number from zero on with at
// most that many digits before its point, and that many decimals behind it.
func CheckDecimal(text string, digits, decimals int) error {
	whole, part, point := strings.Cut(text, ".")
	switch {
	case whole == "" || point && part == "" || strings.Trim(whole+part, "0123456789") != "":
		return Errorf(ErrInvalid, "%.40q: a decimal number such as 12.50 expected", text)
	case len(part) > decimals:
		return Errorf(ErrInvalid, "%.40q: at most %d decimals", text, decimals)
	case len(whole) > digits:
		return Errorf(ErrInvalid, "%.40q: at most %d digits before the point", text, digits)
	}
	return nil
}

// CheckSum refuses what is no sum of credits.
func CheckSum(text string) error { return CheckDecimal(text, 12, SumDecimals) }

// CheckRate refuses what is no price for a unit.
func CheckRate(text string) error { return CheckDecimal(text, 7, RateDecimals) }

// CheckFee refuses what is no percentage.
func CheckFee(text string) error {
	if err := CheckDecimal(text, 3, FeeDecimals); err != nil {
		return err
	}
	whole, part, _ := strings.Cut(text, ".")
	if whole = strings.TrimLeft(whole, "0"); len(whole) > 2 && (whole != "100" || strings.Trim(part, "0") != "") {
		return Errorf(ErrInvalid, "%.40q: at most 100 percent", text)
	}
	return nil
}

// CheckTerm refuses what is no duration of the terms.
func CheckTerm(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > maxTerm {
		return Errorf(ErrInvalid, "%.40q: a duration such as 24h expected, more than 0 and at most a year", text)
	}
	return nil
}

// Check refuses what no implementation could accept.
func (in PriceInput) Check() error {
	if in.Places && in.Release == "" {
		return Errorf(ErrInvalid, "price of places: inside instances of which release?")
	}
	return cmp.Or(
		checkWord("price: account", in.Account, maxName, true),
		checkWord("price: release", in.Release, maxReference, true),
		in.Rates.check(),
	)
}

func (r Rates) check() error {
	for _, f := range [...]struct{ what, rate string }{
		{"core_hour", r.Core},
		{"memory_gib_hour", r.Memory},
		{"disk_gib_hour", r.Disk},
		{"network_gib", r.Network},
		{"partition_hour", r.Partition},
		{"request", r.Request},
	} {
		if f.rate == "" {
			continue
		}
		if err := CheckRate(f.rate); err != nil {
			return Errorf(ErrInvalid, "price: %s: %v", f.what, err)
		}
	}
	if len(r.Metrics) > maxMetrics {
		return Errorf(ErrInvalid, "price: %d metrics are more than %d", len(r.Metrics), maxMetrics)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Metrics)) {
		if err := checkWord("price: metric", name, maxName, false); err != nil {
			return err
		}
		if err := CheckRate(r.Metrics[name]); err != nil {
			return Errorf(ErrInvalid, "price: metric %s: %v", name, err)
		}
	}
	return nil
}

// Check refuses what no implementation could accept.
func (in PaymentInput) Check() error {
	err := cmp.Or(
		checkWord("pay: id", in.ID, maxReference, false),
		checkWord("pay: from", in.From, maxName, true),
		checkWord("pay: to", in.To, maxName, false),
		checkNote("pay", in.Note),
	)
	if err != nil {
		return err
	}
	if err := CheckSum(in.Sum); err != nil {
		return Errorf(ErrInvalid, "pay: sum %v", err)
	}
	if strings.Trim(in.Sum, "0.") == "" {
		return Errorf(ErrInvalid, "pay: sum %q: more than nothing expected", in.Sum)
	}
	return nil
}

// Check refuses what no implementation could accept.
func (in LimitInput) Check() error {
	err := checkWord("limit: account", in.Account, maxName, false)
	if err == nil && in.Limit != nil {
		if wrong := CheckSum(*in.Limit); wrong != nil {
			err = Errorf(ErrInvalid, "limit of %s: %v", in.Account, wrong)
		}
	}
	return err
}

// Check refuses what no implementation could accept.
func (in ReviewInput) Check() error {
	switch in.Verdict {
	case VerdictAccepted, VerdictDisputed:
	default:
		return Errorf(ErrInvalid, "review: verdict %.40q is none of accepted, disputed", in.Verdict)
	}
	return cmp.Or(
		checkWord("review: account", in.Account, maxName, true),
		checkWord("review: reference", in.Reference, maxReference, false),
		checkNote("review", in.Note),
	)
}

// Check refuses what no implementation could accept.
func (in Terms) Check() error {
	for _, f := range [...]struct {
		what, text string
		check      func(string) error
	}{
		{"fee_percent", in.Fee, CheckFee},
		{"grace", in.Grace, CheckTerm},
		{"reserve", in.Reserve, CheckTerm},
	} {
		if f.text == "" {
			continue
		}
		if err := f.check(f.text); err != nil {
			return Errorf(ErrInvalid, "terms: %s: %v", f.what, err)
		}
	}
	return nil
}

// checkWord refuses names that are too long or would not survive a terminal.
func checkWord(what, word string, most int, optional bool) error {
	switch {
	case word == "" && optional:
		return nil
	case word == "":
		return Errorf(ErrInvalid, "%s is missing", what)
	case len(word) > most:
		return Errorf(ErrInvalid, "%s %.20q… has %d bytes, more than %d", what, word, len(word), most)
	case unprintable(word):
		return Errorf(ErrInvalid, "%s %q has characters that do not print", what, word)
	}
	return nil
}

func checkNote(what, note string) error {
	switch {
	case len(note) > maxNote:
		return Errorf(ErrInvalid, "%s: note has %d bytes, more than %d", what, len(note), maxNote)
	case unprintable(note):
		return Errorf(ErrInvalid, "%s: note has characters that do not print", what)
	}
	return nil
}

func unprintable(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar })
}
