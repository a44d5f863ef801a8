package protocol

import (
	"slices"
	"strconv"
	"strings"
)

// Needs are how much of a computer an instance holds, or how much there is.
type Needs struct {
	Millicores int64 `json:"millicores" required:"false" minimum:"0" maximum:"4096000" doc:"thousandths of a core"`
	Memory     int64 `json:"memory" required:"false" minimum:"0" maximum:"281474976710656" doc:"bytes"`
	Disk       int64 `json:"disk" required:"false" minimum:"0" maximum:"281474976710656" doc:"bytes"`
	Bandwidth  int64 `json:"bandwidth" required:"false" minimum:"0" maximum:"281474976710656" doc:"bits per second"`
}

// Bounds on what one instance may need.
const (
	MaxMillicores = 4_096_000
	MaxNeed       = 1 << 48 // bytes, or bits per second
)

// Check refuses what no computer has.
func (n Needs) Check() error {
	switch {
	case min(n.Millicores, n.Memory, n.Disk, n.Bandwidth) < 0:
		return Errorf(ErrInvalid, "needs %d thousandths of a core, %d bytes of memory, %d of disk, %d bits per second: nothing below zero expected",
			n.Millicores, n.Memory, n.Disk, n.Bandwidth)
	case n.Millicores > MaxMillicores || max(n.Memory, n.Disk, n.Bandwidth) > MaxNeed:
		return Errorf(ErrInvalid, "needs %d thousandths of a core, %d bytes of memory, %d of disk, %d bits per second: at most %d, and %d of each other, expected",
			n.Millicores, n.Memory, n.Disk, n.Bandwidth, MaxMillicores, int64(MaxNeed))
	}
	return nil
}

// String says n as people read it: "2 cores, 4GiB memory". What is zero is
// left out.
func (n Needs) String() string {
	var parts []string
	if n.Millicores == 1000 {
		parts = append(parts, "1 core")
	} else if n.Millicores != 0 {
		parts = append(parts, FormatCores(n.Millicores)+" cores")
	}
	if n.Memory != 0 {
		parts = append(parts, FormatSize(n.Memory)+" memory")
	}
	if n.Disk != 0 {
		parts = append(parts, FormatSize(n.Disk)+" disk")
	}
	if n.Bandwidth != 0 {
		parts = append(parts, FormatBandwidth(n.Bandwidth)+" bandwidth")
	}
	return strings.Join(parts, ", ")
}

// sizeUnits are the units of sizes, the largest first.
var sizeUnits = []struct {
	name  string
	bytes int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}}

// ParseSize reads a number of bytes such as 4GiB, 512MiB or 1000.
func ParseSize(text string) (int64, error) {
	for _, u := range sizeUnits {
		number, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n < 0 || n > MaxNeed/u.bytes || number[0] == '+' {
			break
		}
		return n * u.bytes, nil
	}
	return 0, Errorf(ErrInvalid, "%.40q: a size such as 4GiB or 512MiB expected, at most 256TiB", text)
}

// FormatSize is what ParseSize reads, in the largest unit that is exact.
func FormatSize(n int64) string {
	for _, u := range sizeUnits {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

// RoughSize is about n bytes, with at most one decimal, for people.
func RoughSize(n int64) string {
	for _, u := range sizeUnits {
		if n < u.bytes {
			continue
		}
		whole, tenths := n/u.bytes, n%u.bytes*10/u.bytes
		if tenths == 0 || whole >= 100 {
			return strconv.FormatInt(whole, 10) + u.name
		}
		return strconv.FormatInt(whole, 10) + "." + strconv.FormatInt(tenths, 10) + u.name
	}
	return strconv.FormatInt(n, 10)
}

// bandwidthUnits are the units of bandwidths, the largest first.
var bandwidthUnits = []struct {
	name string
	bits int64
}{{"Tbit", 1e12}, {"Gbit", 1e9}, {"Mbit", 1e6}, {"kbit", 1e3}, {"bit", 1}}

// ParseBandwidth reads bits per second, such as 100Mbit or 1Gbit.
func ParseBandwidth(text string) (int64, error) {
	for _, u := range bandwidthUnits {
		number, ok := strings.CutSuffix(strings.TrimSuffix(text, "/s"), u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n < 0 || n > MaxNeed/u.bits || number[0] == '+' {
			break
		}
		return n * u.bits, nil
	}
	return 0, Errorf(ErrInvalid, "%.40q: a bandwidth such as 100Mbit or 1Gbit (a second) expected, at most 281Tbit", text)
}

// FormatBandwidth is what ParseBandwidth reads, in the largest unit that is
// exact.
func FormatBandwidth(n int64) string {
	for _, u := range bandwidthUnits {
		if n >= u.bits && n%u.bits == 0 {
			return strconv.FormatInt(n/u.bits, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10) + "bit"
}

// ParseCores reads a number of cores such as 2 or 0.5, in thousandths.
func ParseCores(text string) (int64, error) {
	if err := CheckDecimal(text, 4, 3); err != nil {
		return 0, Errorf(ErrInvalid, "%.40q: a number of cores such as 2 or 0.5 expected, with at most 3 decimals", text)
	}
	whole, part, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(whole+(part + "000")[:3], 10, 64)
	if err != nil || n > MaxMillicores {
		return 0, Errorf(ErrInvalid, "%.40q: at most %d cores", text, MaxMillicores/1000)
	}
	return n, nil
}

// FormatCores is what ParseCores reads.
func FormatCores(n int64) string {
	return strconv.FormatFloat(float64(n)/1000, 'f', -1, 64)
}

// checkPlace refuses what no computer could meet.
func (in RequestInput) checkPlace() error {
	switch in.Policy {
	case "", "default", "pack", "spread", "cheapest":
	default:
		return Errorf(ErrInvalid, "policy %.40q is none of default, pack, spread, cheapest", in.Policy)
	}
	if len(in.Near) > maxNear || len(in.Apart) > maxNear {
		return Errorf(ErrInvalid, "near %d and apart from %d instances: at most %d of each", len(in.Near), len(in.Apart), maxNear)
	}
	for _, ref := range slices.Concat(in.Near, in.Apart) {
		if err := checkReference(ref); err != nil {
			return Errorf(ErrInvalid, "near or apart: %v", err)
		}
	}
	if in.MaxPrice != "" {
		if err := CheckSum(in.MaxPrice); err != nil {
			return Errorf(ErrInvalid, "highest price %v", err)
		}
	}
	return in.Needs.Check()
}

// maxNear is how many instances one is near to, or apart from.
const maxNear = 32
