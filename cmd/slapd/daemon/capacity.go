package daemon

import (
	"bufio"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// A capacity is how large this computer is. What cannot be found out is 0.
type capacity struct {
	cores  uint32 // thousandths
	memory int64  // bytes
	disk   int64  // bytes, of the file system that has the state folder
}

func capacityOf(folder string) capacity {
	c := capacity{cores: uint32(1000 * runtime.NumCPU())}
	if f, err := os.Open("/proc/meminfo"); err == nil {
		c.memory = memoryTotal(f)
		_ = f.Close() // was only read
	}
	c.disk = diskSize(folder)
	return c
}

// memoryTotal reads the kernel's table of memory.
func memoryTotal(r io.Reader) int64 {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "MemTotal:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(text), " kB"), 10, 53)
			if err != nil || kib < 0 {
				return 0
			}
			return kib << 10
		}
	}
	return 0
}
