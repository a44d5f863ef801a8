package release

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// units are the suffixes of sizes, longest first where one ends in another.
var units = []struct {
	suffix string
	bytes  int64
}{
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"kB", 1e3},
	{"B", 1},
}

// ParseSize reads a number of bytes such as "128MiB", "1.5GB" or "4096".
func ParseSize(text string) (int64, error) {
	number, factor := text, int64(1)
	for _, u := range units {
		if head, ok := strings.CutSuffix(text, u.suffix); ok {
			number, factor = strings.TrimSuffix(head, " "), u.bytes
			break
		}
	}
	if strings.Trim(number, "0123456789.") != "" {
		return 0, errors.New("not a size")
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, err
	}
	bytes := n * float64(factor)
	if bytes != math.Trunc(bytes) || bytes >= 1<<53 {
		return 0, errors.New("not a whole number of bytes, or too many")
	}
	return int64(bytes), nil
}

// FormatSize writes a number of bytes with the largest unit that it is a
// multiple of, so that ParseSize gives it back.
func FormatSize(n int64) string {
	for _, u := range units[:4] {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}

// ParseDuration reads a time such as "90s" or "1h30m"; a plain number is in
// seconds. It is never negative.
func ParseDuration(text string) (time.Duration, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if !(seconds >= 0 && seconds < 1e9) {
			return 0, errors.New("out of range")
		}
		return time.Duration(seconds * float64(time.Second)), nil
	}
	d, err := time.ParseDuration(text)
	if err == nil && d < 0 {
		return 0, errors.New("negative")
	}
	return d, err
}
