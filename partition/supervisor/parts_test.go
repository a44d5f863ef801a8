package supervisor

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestJournalIsBounded(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(dir, func() time.Time { return time.Unix(0, 0) })
	j.max = 1000
	long := strings.Repeat("x", 3*maxLine) + "\nend"
	j.copy("web", strings.NewReader(long))
	for range 200 {
		j.note("web", []byte("a line\n"))
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if info, _ := f.Info(); info.Size() > 1000 {
			t.Errorf("%s has %d bytes", f.Name(), info.Size())
		}
	}
	b, _ := os.ReadFile(filepath.Join(dir, LogName))
	if want := "1970-01-01T00:00:00.000Z web: a line\n"; !strings.HasSuffix(string(b), want) {
		t.Errorf("log ends with %q", b)
	}
}

func TestWriteAllIsByDifference(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sub", "a")
	write := func(content string, mode uint32) os.FileInfo {
		t.Helper()
		if err := writeAll([]Dir{{Path: dir + "/d", Mode: 0o750}}, []File{{Path: path, Content: []byte(content), Mode: mode}}, nil); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	first := write("one", 0)
	if !os.SameFile(first, write("one", 0)) {
		t.Error("an equal file was written again")
	}
	if os.SameFile(first, write("two", 0)) {
		t.Error("a changed file was edited in place")
	}
	if got := write("two", 0o640).Mode().Perm(); got != 0o640 {
		t.Errorf("mode %o", got)
	}
	if err := writeAll(nil, nil, []string{path, path + "-none"}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file that is not wanted is left")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "sub", "*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("cannot mount a small disk: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
	path := filepath.Join(dir, "conf")
	if err := writeAll(nil, []File{{Path: path, Content: []byte("good")}}, nil); err != nil {
		t.Fatal(err)
	}
	err := writeAll(nil, []File{{Path: path, Content: make([]byte, 1<<20)}}, nil)
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), path) {
		t.Errorf("full disk: %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "good" {
		t.Errorf("half a file is in place: %d bytes", len(b))
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".new-*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestMemorySurvives(t *testing.T) {
	f := newMemoryFile(t.TempDir())
	if m, err := f.load(); err != nil || m.Steps != nil {
		t.Fatalf("%v, %v", m, err)
	}
	if err := f.save(memory{Steps: map[string]string{"a": "1"}}, true); err != nil {
		t.Fatal(err)
	}
	if m, err := f.load(); err != nil || m.Steps["a"] != "1" {
		t.Fatalf("%v, %v", m, err)
	}
}

func TestChecks(t *testing.T) {
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ok" {
			http.NotFound(w, r)
		}
	}))
	defer good.Close()
	var lc net.ListenConfig
	silent, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0") // accepts, says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	h := &inside{clock: time.Now, dial: func(address string, timeout time.Duration) (net.Conn, error) {
		d := net.Dialer{Timeout: timeout}
		return d.DialContext(t.Context(), "tcp", address)
	}}
	for _, c := range []struct {
		check Check
		want  string
	}{
		{Check{HTTP: good.URL + "/ok"}, ""},
		{Check{HTTP: good.URL + "/no"}, "404 Not Found"},
		{Check{HTTP: "http://" + silent.Addr().String() + "/"}, "no answer in time"},
		{Check{TCP: silent.Addr().String()}, ""},
		{Check{TCP: "127.0.0.1:1"}, "connection refused"},
	} {
		err := h.ask(c.check, nil, 200*time.Millisecond)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.check, err, c.want)
		}
	}
}

func TestLoaderFindsTreeFirst(t *testing.T) {
	tree := t.TempDir()
	write := func(path, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(tree, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(tree, path), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write("usr/bin/script", "#!/no/such/interpreter -x\n")
	write("usr/bin/garbage", "garbage")
	l := loader{tree}
	got, err := l.resolve([]string{"script", "a"}, nil, "/")
	if want := "/no/such/interpreter -x " + tree + "/usr/bin/script a"; err != nil || strings.Join(got, " ") != want {
		t.Errorf("script: %q, %v", got, err)
	}
	if _, err := l.resolve([]string{"garbage"}, nil, "/"); err == nil || !strings.Contains(err.Error(), "without walls") {
		t.Errorf("garbage: %v", err)
	}
	if got, err := l.resolve([]string{"sh"}, []string{"PATH=/bin"}, "/"); err != nil || got[0] != "/bin/sh" {
		t.Errorf("the computer's: %q, %v", got, err)
	}
}
