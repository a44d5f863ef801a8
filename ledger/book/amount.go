package book

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// An Amount is money, in micro-credits: millionths of a credit.
type Amount int64

// Credit is one credit.
const Credit Amount = 1_000_000

// creditDigits is how many decimals an amount has.
const creditDigits = 6

// ErrRange says that a result is too large to be kept.
var ErrRange = errors.New("amount out of range")

// Plus returns a + b, or ErrRange.
func (a Amount) Plus(b Amount) (Amount, error) {
	if b > 0 && a > math.MaxInt64-b || b < 0 && a < math.MinInt64-b {
		return 0, fmt.Errorf("%s + %s: %w", a, b, ErrRange)
	}
	return a + b, nil
}

// Minus returns a - b, or ErrRange.
func (a Amount) Minus(b Amount) (Amount, error) {
	if b == math.MinInt64 {
		return 0, fmt.Errorf("%s - %s: %w", a, b, ErrRange)
	}
	return a.Plus(-b)
}

// String returns the amount in credits, with two to six decimals, such as
// "-12.50" or "0.000003".
func (a Amount) String() string { return decimal(int64(a), creditDigits) }

// ParseAmount reads what String returns, and any decimal number of credits
// with at most six decimals.
func ParseAmount(text string) (Amount, error) {
	n, err := parseDecimal(text, creditDigits)
	return Amount(n), err
}

// decimal writes n / 10^digits, with at least two decimals.
func decimal(n int64, digits int) string {
	sign, u := "", uint64(n)
	if n < 0 {
		sign, u = "-", -u
	}
	text := fmt.Sprintf("%0*d", digits+1, u)
	whole, part := text[:len(text)-digits], text[len(text)-digits:]
	part = part[:2] + strings.TrimRight(part[2:], "0")
	return sign + whole + "." + part
}

// parseDecimal reads a decimal number as a multiple of 10^-digits.
func parseDecimal(text string, digits int) (int64, error) {
	whole, part, dot := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	switch {
	case whole == "" || dot && part == "" || len(text) > 40:
		return 0, fmt.Errorf("%.40q: a decimal number such as 12.50 expected", text)
	case len(part) > digits && strings.Trim(part[digits:], "0") != "":
		return 0, fmt.Errorf("%.40q: at most %d decimals", text, digits)
	}
	part = (part + strings.Repeat("0", digits))[:digits]
	var u uint64
	for _, r := range whole + part {
		if r < '0' || r > '9' {
			return 0, fmt.Errorf("%.40q: a decimal number such as 12.50 expected", text)
		}
		if u > (math.MaxUint64-9)/10 {
			return 0, fmt.Errorf("%.40q: %w", text, ErrRange)
		}
		u = 10*u + uint64(r-'0')
	}
	if u > math.MaxInt64 {
		return 0, fmt.Errorf("%.40q: %w", text, ErrRange)
	}
	if strings.HasPrefix(text, "-") {
		return -int64(u), nil
	}
	return int64(u), nil
}
