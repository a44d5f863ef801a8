package journal

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const crashDir = "JOURNAL_CRASH_DIR"

// crashWriter is what the child of TestKilled does: it appends, and tells
// what it was told to be durable, until it is killed.
func crashWriter() {
	dir := os.Getenv(crashDir)
	if dir == "" {
		return
	}
	fail := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	j, err := Open(dir, Options{BufferBytes: 256 << 10}) // so that it is written away often
	fail(err)
	rng := rand.New(rand.NewPCG(uint64(os.Getpid()), j.Size()))
	for {
		n := j.Size()
		_, err := j.Append(someEntries(1, n, n+1+rng.Uint64N(200))...)
		fail(err)
		if rng.IntN(4) == 0 {
			size, err := j.Sync(context.Background())
			fail(err)
			fmt.Println(size)
		}
	}
}

// TestKilled kills a process that appends, at any moment, again and again.
func TestKilled(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	for range 5 {
		acknowledged := killWriter(t, dir, time.Duration(20+rng.IntN(100))*time.Millisecond)
		j, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if j.Size() < acknowledged {
			t.Errorf("size %d after %d were durable", j.Size(), acknowledged)
		}
		checkHistory(t, j, 1)
		t.Logf("%d entries, %d acknowledged", j.Size(), acknowledged)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killWriter runs a writer for a while and returns what it said to be
// durable.
func killWriter(t *testing.T, dir string, after time.Duration) (acknowledged uint64) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), crashDir+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var kill *time.Timer
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if acknowledged, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
			t.Error(lines.Text())
		}
		if kill == nil {
			kill = time.AfterFunc(after, func() { _ = child.Process.Kill() })
		}
	}
	if err := child.Wait(); err == nil || child.ProcessState.Exited() {
		t.Fatalf("the writer ended by itself: %v", err)
	}
	return acknowledged
}

// checkHistory verifies a journal and compares it with the entries that were
// appended.
func checkHistory(t *testing.T, j *Journal, seed uint64) {
	t.Helper()
	verify(t, j)
	size := j.Size()
	missing, end := j.Missing()
	for n := uint64(0); n < size; {
		if n == missing {
			n = end // where nothing is missing this is from 0 to 0
		}
		stop := min(n+500, size)
		if n < missing {
			stop = min(stop, missing)
		}
		if _, err := j.Append(someEntries(seed, n, stop)...); err != nil {
			t.Fatal(err)
		}
		n = stop
	}
}

// TestPowerLoss loses what was not durable, or some of it, at any moment: of
// appending, restoring, filling and keeping.
func TestPowerLoss(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	source := open(t, t.TempDir())
	const most = 8_000
	add(t, source, seed, most)
	disk := vfs.NewCrashableMem()
	j := openOn(t, disk)
	var durable, kept uint64
	for range 250 {
		switch what := rng.IntN(20); {
		case what < 10:
			n := j.Size()
			if _, err := j.Append(someEntries(seed, n, min(most, n+rng.Uint64N(60)))...); err != nil {
				t.Fatal(err)
			}
		case what < 12:
			durable = must(j.Sync(t.Context()))
			if durable != j.Size() {
				t.Fatalf("durable %d of %d", durable, j.Size())
			}
		case what == 12 && j.Size() < most-2000:
			if err := j.Restore(must(source.tree().frontier(j.Size() + rng.Uint64N(2000)))); err != nil {
				t.Fatal(err)
			}
			durable = j.Size()
		case what == 13:
			kept = rng.Uint64N(most)
			if err := j.Keep(signed(t, source, kept), source.ProveConsistency); err != nil {
				t.Fatal(err)
			}
		case what < 19:
			if from, to := j.Missing(); from < to {
				if _, err := j.Fill(must(source.Chunk(from, to))); err != nil {
					t.Fatal(err)
				}
			}
		default:
			j, disk = crash(t, j, disk, rng)
			if j.Size() < durable {
				t.Fatalf("size %d after %d were durable", j.Size(), durable)
			}
			checkHistory(t, j, seed)
			if kept > 0 && !isKept(t, j, kept) {
				t.Fatalf("checkpoint %d is forgotten", kept)
			}
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func isKept(t *testing.T, j *Journal, size uint64) bool {
	t.Helper()
	for _, k := range must(j.Checkpoints()) {
		if k.Checkpoint.Size == size {
			return true
		}
	}
	return false
}

func openOn(t *testing.T, disk vfs.FS) *Journal {
	t.Helper()
	j, err := Open("journal", Options{fs: disk, BufferBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// crash returns the journal as it is after the power came back.
func crash(t *testing.T, j *Journal, disk *vfs.MemFS, rng *rand.Rand) (*Journal, *vfs.MemFS) {
	t.Helper()
	after := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return openOn(t, after), after
}
