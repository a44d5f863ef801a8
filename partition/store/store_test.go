package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/slapmesh/slapmesh/partition/store"
)

// helperDir names the store for a helper process; see TestMain.
const helperDir = "STORE_TEST_DIR"

// TestMain turns the test into a process that dies while it makes something.
func TestMain(m *testing.M) {
	if dir := os.Getenv(victim); dir != "" {
		fmt.Fprintln(os.Stderr, live(dir))
		os.Exit(1)
	}
	if dir := os.Getenv(patient); dir != "" {
		if err := treat(dir, os.Getenv(arrives)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if dir := os.Getenv(helperDir); dir != "" {
		if err := half(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// half begins a package and a tree, says so, and waits to be killed.
func half(dir string) error {
	s, err := store.Open(dir)
	if err != nil {
		return err
	}
	c, err := s.Compose()
	if err != nil {
		return err
	}
	if err := c.Write("etc/half", []byte("half"), false); err != nil {
		return err
	}
	a := archive(pack{file("a", "b")}.bytes())
	inner := a.Open
	a.Open = func(ctx context.Context) (io.ReadCloser, error) {
		r, err := inner(ctx)
		return stuck{r}, err
	}
	return s.Unpack(context.Background(), []store.Archive{a}, nil)
}

// stuck tells the parent that reading has ended, and never ends itself.
type stuck struct{ io.Reader }

func (s stuck) Close() error {
	fmt.Println("ready")
	select {}
}

// TestKilled holds that nothing half made is ever used, and that the next Open
// removes it, but not what a living process is making.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	mine, err := s.Compose()
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	helper := exec.CommandContext(t.Context(), os.Args[0])
	helper.Env = append(os.Environ(), helperDir+"="+dir)
	helper.Stderr = os.Stderr
	out, err := helper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(line, err)
	}
	if got := len(staged(t, s)); got != 6 { // three folders and their locks
		t.Errorf("%d names in staging, want 6", got)
	}
	open(t, dir)
	if got := len(staged(t, s)); got != 6 {
		t.Errorf("what living processes make was removed: %d names left", got)
	}
	if err := helper.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = helper.Wait()
	open(t, dir)
	if got := staged(t, s); len(got) != 2 {
		t.Errorf("left in staging: %v, want only ours", got)
	}
	for _, kind := range []string{"package", "tree"} {
		if entries, err := os.ReadDir(filepath.Join(dir, kind)); err != nil || len(entries) > 0 {
			t.Errorf("%s: %v %v", kind, entries, err)
		}
	}
	if _, err := mine.Commit(); err != nil {
		t.Errorf("ours: %v", err)
	}
}

// TestFull holds what a full disk does: an error that says so, and nothing
// that is half there.
func TestFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k,nr_inodes=64,mode=755"); err != nil {
		t.Skip("cannot mount a small file system:", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	s := open(t, dir)
	small := add(t, s, pack{file("etc/x", "x")})
	var many pack
	for n := range 100 {
		many = append(many, file(fmt.Sprint(n), ""))
	}
	for name, data := range map[string][]byte{
		"bytes": pack{file("big", strings.Repeat("x", 1<<20))}.bytes(), "files": many.bytes(),
	} {
		a := archive(data)
		err := s.Unpack(t.Context(), []store.Archive{a}, nil)
		var full *store.FullError
		if !errors.As(err, &full) || full.Dir != dir || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("%s: got %v", name, err)
		}
		t.Log(err)
		if s.HasPackage(a.Digest) || len(staged(t, s)) > 0 {
			t.Errorf("%s: something was left: %v", name, staged(t, s))
		}
	}
	c, err := s.Compose()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Link(t.Context(), small); err != nil {
		t.Fatal(err)
	}
	var full *store.FullError
	if err := c.Write("big", make([]byte, 1<<20), false); !errors.As(err, &full) {
		t.Errorf("tree: got %v", err)
	}
	c.Close()
	if err := s.PutRecord("big", make([]byte, 1<<20)); !errors.As(err, &full) {
		t.Errorf("record: got %v", err)
	}
	if _, err := s.Record("big"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a record: %v", err)
	}
	compose(t, s, small) // there is room for this
}

func TestOpenRefuses(t *testing.T) {
	newer := t.TempDir()
	open(t, newer)
	if err := os.WriteFile(filepath.Join(newer, "version"), []byte("2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(newer); err == nil || !strings.Contains(err.Error(), `version "2", this program knows 1`) {
		t.Errorf("newer: %v", err)
	}
	shared := t.TempDir()
	if err := os.Chmod(shared, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(shared); err == nil || !strings.Contains(err.Error(), "others may write to the folder") {
		t.Errorf("shared: %v", err)
	}
	if os.Geteuid() == 0 {
		foreign := t.TempDir()
		if err := os.Chown(foreign, 12345, 12345); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Open(foreign); err == nil || !strings.Contains(err.Error(), "belongs to user 12345") {
			t.Errorf("foreign: %v", err)
		}
	}
}

func TestRecord(t *testing.T) {
	s := open(t, t.TempDir())
	if _, err := s.Record("a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	for _, value := range []string{"one", "two"} {
		if err := s.PutRecord("a", []byte(value)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Record("a"); err != nil || string(got) != value {
			t.Errorf("got %s %v", got, err)
		}
	}
	for _, name := range []string{"", "../a", "A", "a/b", strings.Repeat("a", 200)} {
		if err := s.PutRecord(name, nil); err == nil {
			t.Errorf("record %q was kept", name)
		}
	}
	if left := staged(t, s); len(left) > 0 {
		t.Errorf("left in staging: %v", left)
	}
}

func TestLock(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	unlock, err := store.Lock(t.Context(), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = store.Lock(ctx, name, cancel) // waits, is told so, and gives up
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "held by another process") {
		t.Errorf("held lock: %v", err)
	}
	unlock()
	again, err := store.Lock(t.Context(), name, func() { t.Error("waits for nobody") })
	if err != nil {
		t.Fatal(err)
	}
	again()
}
