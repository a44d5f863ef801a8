//go:build linux

package kernel

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// BenchmarkSample reads 100 partitions of three processes each.
func BenchmarkSample(b *testing.B) {
	k := Open("")
	var partitions []*Partition
	for range 100 {
		cmd := exec.CommandContext(b.Context(), "sh", "-c", "exec 3<&0; cat <&3 & cat <&3 & echo; exec cat")
		out, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		in, err := cmd.StdinPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		if _, err := bufio.NewReader(out).ReadByte(); err != nil {
			b.Fatal(err)
		}
		pid := cmd.Process.Pid
		partitions = append(partitions, &Partition{Kernel: k, PID: func() int { return pid }})
		b.Cleanup(func() {
			_ = in.Close() // ends them all
			_ = cmd.Wait()
		})
	}
	tasks := 0
	for b.Loop() {
		k.mu.Lock()
		k.at -= fresh // a round comes every few seconds
		k.mu.Unlock()
		tasks = 0
		for _, p := range partitions {
			r, err := p.Read(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			tasks += len(r.Tasks)
		}
	}
	b.ReportMetric(float64(tasks), "processes")
}

// BenchmarkWalk measures a folder of 10,000 files.
func BenchmarkWalk(b *testing.B) {
	dir := b.TempDir()
	for i := range 10_000 {
		path := filepath.Join(dir, fmt.Sprint(i%100), fmt.Sprint(i))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, err := diskUsage(b.Context(), dir); err != nil {
			b.Fatal(err)
		}
	}
}
