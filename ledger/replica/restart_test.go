package replica_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/book"
	"github.com/slapmesh/slapmesh/ledger/journal"
	"github.com/slapmesh/slapmesh/ledger/replica"
)

// BenchmarkRestart measures what a large ledger and its history weigh together
// in one process that does nothing else, and how long that takes to read them
// from disk. Making them takes some minutes. Smaller ones with
// RESTART_INSTANCES=10000 RESTART_ENTRIES=100000; with RESTART_KEEP=FOLDER they
// stay there, and are read again with RESTART_DIR=FOLDER.
func BenchmarkRestart(b *testing.B) {
	if dir := os.Getenv("RESTART_DIR"); dir != "" {
		restart(b, dir)
		return
	}
	instances, entries := number("RESTART_INSTANCES", 1_000_000), number("RESTART_ENTRIES", 10_000_000)
	dir := os.Getenv("RESTART_KEEP")
	if dir == "" {
		dir = b.TempDir()
	}
	begun := time.Now()
	makeLarge(b, dir, instances, entries)
	b.Logf("made in %v", time.Since(begun))
	child := exec.CommandContext(b.Context(), os.Args[0], "-test.run=xxx", "-test.bench=BenchmarkRestart$", "-test.benchtime=1x", "-test.v")
	child.Env = append(os.Environ(), "RESTART_DIR="+dir)
	said, err := child.CombinedOutput()
	if err != nil {
		b.Fatalf("%v\n%s", err, said)
	}
	for line := range bytes.Lines(said) {
		if bytes.Contains(line, []byte("MiB")) {
			b.Logf("%s", bytes.TrimSpace(line))
		}
	}
}

func number(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}

// restart does what a peer does that starts: it opens its history, and reads
// the newest snapshot.
func restart(b *testing.B, dir string) {
	b.Helper()
	debug.SetGCPercent(30) // what slapd has where the heap is large
	begun, used := time.Now(), cpuTime()
	history, err := journal.Open(filepath.Join(dir, "journal"), journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = history.Close() }()
	opened := time.Since(begun)
	snapshot, err := os.Open(filepath.Join(dir, "snapshot"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = snapshot.Close() }()
	r := replica.New(replica.Config{Journal: history})
	if err := r.Restore(snapshot); err != nil {
		b.Fatal(err)
	}
	took, cpu, peak := time.Since(begun), cpuTime()-used, memory(b, "VmHWM:")
	debug.FreeOSMemory()
	b.Logf("%d entries; started in %.2f s (%.2f s of CPU), of which the history %.2f s; %.0f MiB, at most %.0f MiB",
		history.Size(), took.Seconds(), cpu.Seconds(), opened.Seconds(), memory(b, "VmRSS:"), peak)
	b.ReportMetric(took.Seconds(), "s/start")
	b.ReportMetric(cpu.Seconds(), "cpu-s/start")
	_ = r.View()
}

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memory returns a figure of this process, in MiB.
func memory(b *testing.B, name string) float64 {
	b.Helper()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	for line := range bytes.Lines(data) {
		if fields := bytes.Fields(line); len(fields) > 1 && string(fields[0]) == name {
			kib, _ := strconv.ParseFloat(string(fields[1]), 64)
			return kib / 1024
		}
	}
	return 0
}

// makeLarge leaves a snapshot of so many instances, each with its bill, on a
// hundredth as many computers of a thousandth as many accounts, and their
// history, in a folder.
func makeLarge(b *testing.B, dir string, instances, entries uint64) {
	b.Helper()
	history, err := journal.Open(filepath.Join(dir, "journal"), journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	r, log := newSoloWith(b, replica.Config{Journal: history})
	d := publish(b, r, "web")
	computers := max(1, instances/100)
	account := func(n uint64) ledger.AccountName {
		return ledger.AccountName(fmt.Sprintf("a%05d", n%max(1, computers/10)))
	}
	for n := range computers {
		id, digest := ledger.PeerID(fmt.Sprintf("p%05d", n)), fmt.Appendf(nil, "%-32d", n)
		propose(b, r, ledger.System(), ledger.CreateToken{
			ID: ledger.TokenID(fmt.Sprint("t", n)), Digest: digest, Role: ledger.RoleComputer, Uses: 1,
			Expires: noon.Add(time.Hour), Account: account(n),
		})
		propose(b, r, ledger.System(), ledger.Admit{TokenDigest: digest, Peer: id, PublicKey: []byte(id), Name: string(id)})
		propose(b, r, ledger.AsPeer(id), ledger.Offer{
			Partitions: 110, Scope: ledger.ScopePublic, Arch: "amd64", Grade: "sandbox",
			Labels: map[string]string{"country": fmt.Sprint(n % 50)},
		})
	}
	for n := range max(1, computers/10) {
		propose(b, r, ledger.System(), ledger.SetPrice{Account: account(n), Rates: book.Rates{Core: 20_000_000_000}})
	}
	var group [][]byte
	flush := func() {
		log.index++
		for _, reply := range r.Apply(log.index, noon, group) {
			if err := ledger.ParseReply(reply); err != nil {
				b.Fatal(err)
			}
		}
		group = group[:0]
	}
	ask := func(p ledger.Principal, c ledger.Command) {
		data, err := ledger.Encode(p, c)
		if err != nil {
			b.Fatal(err)
		}
		if group = append(group, data); len(group) == 128 {
			flush()
		}
	}
	for n := range instances {
		ask(ledger.AsAccount(account(n)), ledger.Request{Reference: ledger.Reference(fmt.Sprint("i", n)), Release: d})
	}
	flush()
	for round := 0; history.Size() < entries; round++ {
		report(r.View(), round, ask)
		flush()
	}
	leave(b, r, history, filepath.Join(dir, "snapshot"))
}

// report has every computer report of its instances.
func report(v *ledger.State, round int, ask func(ledger.Principal, ledger.Command)) {
	for c := range v.Computers() {
		var told []ledger.InstanceReport
		for i := range v.InstancesOn(c.ID) {
			told = append(told, ledger.InstanceReport{
				ID: i.ID, Generation: i.Generation, State: ledger.InstanceStarted, Healthy: round%2 == 0,
				Connection: map[string]string{"url": fmt.Sprintf("memcached://%s:11211", i.Address)},
				Ports:      map[string]uint16{"memcached": 11211},
			})
		}
		if len(told) > 0 {
			ask(ledger.AsPeer(ledger.PeerID(c.ID)), ledger.Report{Instances: told})
		}
	}
}

// leave writes what a peer leaves on disk.
func leave(b *testing.B, r *replica.Replica, history *journal.Journal, path string) {
	b.Helper()
	captured, err := r.Snapshot()
	if err != nil {
		b.Fatal(err)
	}
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	for _, err := range []error{write(captured, file), file.Close(), history.Close()} {
		if err != nil {
			b.Fatal(err)
		}
	}
}

func write(from io.WriterTo, to io.Writer) error {
	_, err := from.WriteTo(to)
	return err
}
