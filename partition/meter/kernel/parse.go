//go:build linux

package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// tick is what /proc counts processor time in, in nanoseconds. Linux shows
// hundredths of a second on every architecture that runs Go, however fast the
// kernel itself ticks.
const tick = 10_000_000

// A process is a line of the table of processes.
type process struct {
	pid, parent int
	uid         int    // who it runs as
	start       uint64 // ticks since the computer was started
	own         uint64 // nanoseconds that it ran
	reaped      uint64 // nanoseconds that ended children ran, which it waited for
	resident    uint64 // bytes
}

// Positions in /proc/PID/stat, counted from what follows the name.
const (
	statParent   = 1
	statUser     = 11
	statSystem   = 12
	statReapedU  = 13
	statReapedS  = 14
	statStart    = 19
	statResident = 21
	statFields   = 22
)

// parseStat reads /proc/PID/stat. The name in it is the process's own choice,
// and may hold spaces, parentheses and line breaks: what counts is the last
// parenthesis, for only numbers follow it.
func parseStat(data []byte, page uint64) (process, error) {
	open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if open < 0 || end < open {
		return process{}, errors.New("stat: no name in parentheses")
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(data[:open])))
	if err != nil || pid <= 0 {
		return process{}, fmt.Errorf("stat: process number %.20q", data[:open])
	}
	fields := bytes.Fields(data[end+1:])
	if len(fields) < statFields {
		return process{}, fmt.Errorf("stat: %d fields after the name, at least %d expected", len(fields), statFields)
	}
	p := process{pid: pid}
	if p.parent, err = strconv.Atoi(string(fields[statParent])); err != nil || p.parent < 0 {
		return process{}, fmt.Errorf("stat: parent %.20q", fields[statParent])
	}
	var n [statFields]uint64
	for _, i := range []int{statUser, statSystem, statReapedU, statReapedS, statStart, statResident} {
		if n[i], err = number(fields[i]); err != nil {
			return process{}, fmt.Errorf("stat: field %d: %w", i, err)
		}
	}
	p.own = times(plus(n[statUser], n[statSystem]), tick)
	p.reaped = times(plus(n[statReapedU], n[statReapedS]), tick)
	p.start, p.resident = n[statStart], times(n[statResident], page)
	return p, nil
}

// number reads a number that is not negative. Some that the kernel keeps as
// signed can be so for an instant: then they are zero.
func number(field []byte) (uint64, error) {
	if len(field) > 1 && field[0] == '-' {
		_, err := strconv.ParseUint(string(field[1:]), 10, 64)
		return 0, err
	}
	return strconv.ParseUint(string(field), 10, 64)
}

// parseKeyed returns the number that follows key in lines of "key number",
// with or without a colon, as in cpu.stat and smaps_rollup.
func parseKeyed(data []byte, key string) (uint64, error) {
	for line := range bytes.Lines(data) {
		fields := bytes.Fields(line)
		if len(fields) >= 2 && string(bytes.TrimSuffix(fields[0], []byte(":"))) == key {
			return number(fields[1])
		}
	}
	return 0, fmt.Errorf("no %s in it", key)
}

// parseNumber reads a file that is one number.
func parseNumber(data []byte) (uint64, error) { return number(bytes.TrimSpace(data)) }

// Positions in a line of /proc/PID/net/dev, counted from what follows the
// name.
const (
	devReceived = 0
	devSent     = 8
)

// parseDevices returns the bytes that all interfaces received and sent, but
// for those that stayed inside.
func parseDevices(data []byte) (uint64, error) {
	var sum uint64
	found := false
	for line := range bytes.Lines(data) {
		name, rest, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue // the two lines of headings
		}
		found = true
		fields := bytes.Fields(rest)
		if len(fields) <= devSent {
			return 0, fmt.Errorf("net/dev: %d columns, more than %d expected", len(fields), devSent)
		}
		if string(bytes.TrimSpace(name)) == "lo" {
			continue
		}
		for _, i := range []int{devReceived, devSent} {
			n, err := number(fields[i])
			if err != nil {
				return 0, fmt.Errorf("net/dev: %w", err)
			}
			sum = plus(sum, n)
		}
	}
	if !found {
		return 0, errors.New("net/dev: no interfaces")
	}
	return sum, nil
}
