package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestReleaseProgram(t *testing.T) {
	text := fmt.Sprint(config(nil), version()) // uses some of the program
	before := residentFile(t)
	if err := releaseProgram(); err != nil {
		t.Fatal(err)
	}
	if after := residentFile(t); after >= before {
		t.Errorf("%d KiB of files in memory, were %d", after, before)
	}
	if again := fmt.Sprint(config(nil), version()); again != text {
		t.Errorf("the program says %q now, said %q", again, text)
	}
}

func TestCleanMappings(t *testing.T) {
	const maps = `00400000-00600000 r-xp 00000000 fe:00 7 /bin/slapd
Size:               2048 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
00600000-00700000 r--p 00200000 fe:00 7 /bin/slapd
Anonymous:             0 kB
00700000-00710000 r--p 00300000 fe:00 7 /bin/slapd
Anonymous:             4 kB
00710000-00720000 rw-p 00310000 fe:00 7 /bin/slapd
Anonymous:             0 kB
00720000-00730000 rw-p 00000000 00:00 0
Anonymous:             0 kB
7f0000000000-7f0000100000 r-xp 00000000 fe:00 9 /lib/libc.so.6
Anonymous:             0 kB
`
	got := cleanMappings(maps, "/bin/slapd")
	if want := []mapping{{0x400000, 0x600000}, {0x600000, 0x700000}}; !slices.Equal(got, want) {
		t.Errorf("clean are %x, want %x", got, want)
	}
	if got := cleanMappings("garbage\n\xff-\n", "/bin/slapd"); got != nil {
		t.Errorf("clean in garbage are %x", got)
	}
}

// residentFile is how much of this process's memory is of files, in KiB.
func residentFile(t *testing.T) (kib int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "RssFile:"); ok {
			if _, err := fmt.Sscan(rest, &kib); err != nil {
				t.Fatal(err)
			}
			return kib
		}
	}
	t.Fatal("/proc/self/status has no RssFile")
	return 0
}
