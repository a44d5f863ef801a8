package source

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slapmesh/slapmesh/partition/release"
)

// module fetches a Go module, checks it against its pinned sum, fetches what its
// own go.sum names, and builds programs of it in a sandbox without a network.
// They go to usr/bin.
func (f *Fetcher) module(ctx context.Context, s release.Source, report func(Progress)) (Archive, error) {
	box, err := f.goBox(ctx)
	if err != nil {
		return Archive{}, err
	}
	dir, err := f.work()
	if err != nil {
		return Archive{}, err
	}
	defer func() { _ = removeAll(dir) }()
	src, out := filepath.Join(dir, "src"), filepath.Join(dir, "out")
	if s.Files != nil {
		err = writeFiles(s.Files, src)
	} else {
		report(Progress{What: "fetching module " + s.URL})
		var source string
		if source, err = f.fetchModule(ctx, box, dir, s); err == nil {
			err = copyTree(source, src)
		}
	}
	if err := errors.Join(err, os.MkdirAll(out, 0o755)); err != nil {
		return Archive{}, err
	}
	report(Progress{What: "fetching what " + s.URL + " needs"})
	if err := f.again(ctx, report, func() error { return f.runGo(ctx, box, dir, src, true, nil, "mod", "download") }); err != nil {
		return Archive{}, err
	}
	report(Progress{What: "building " + s.URL})
	args := append([]string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", box.path(out) + "/", "--"}, s.Packages...)
	if err := f.runGo(ctx, box, dir, src, false, nil, args...); err != nil {
		return Archive{}, fmt.Errorf("build: %w", err)
	}
	packed := filepath.Join(f.Dir, "downloads", "go-"+filepath.Base(dir)+".tar")
	if err := packPrograms(out, packed); err != nil {
		return Archive{}, err
	}
	path, version, _ := strings.Cut(s.URL, "@")
	return Archive{Name: path, Version: version, Size: size(packed), Open: func(context.Context) (io.ReadCloser, error) { return os.Open(packed) }}, nil
}

// fetchModule returns the folder of the module, whose sum was checked.
func (f *Fetcher) fetchModule(ctx context.Context, box box, dir string, s release.Source) (string, error) {
	var got struct{ Dir, Sum, Error string }
	err := f.again(ctx, func(Progress) {}, func() error {
		var out strings.Builder
		err := f.runGo(ctx, box, dir, dir, true, &out, "mod", "download", "-json", "--", s.URL)
		if uerr := json.Unmarshal([]byte(out.String()), &got); err == nil && uerr != nil {
			err = uerr
		}
		if got.Error != "" {
			err = errors.New(got.Error)
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("fetch: %w", err)
	}
	if got.Sum != s.Digest {
		return "", fmt.Errorf("its sum is %s, and %s was expected: it is another module, or was changed on its way", got.Sum, s.Digest)
	}
	inside, err := filepath.Rel(box.path(f.Dir), got.Dir)
	if err != nil || !filepath.IsLocal(inside) {
		return "", fmt.Errorf("go keeps it in %s, which is not below %s", got.Dir, f.Dir)
	}
	return filepath.Join(f.Dir, inside), nil
}

// again tries what a network may spoil, a few times.
func (f *Fetcher) again(ctx context.Context, report func(Progress), try func() error) error {
	for failures := 1; ; failures++ {
		err := try()
		if err == nil || failures == 3 || ctx.Err() != nil || strings.Contains(err.Error(), "checksum mismatch") || strings.Contains(err.Error(), "404 Not Found") {
			return err
		}
		report(Progress{What: "trying again: " + lastLine(err.Error())})
		if err := pause(ctx, failures); err != nil {
			return err
		}
	}
}

// runGo runs the go command in the sandbox.
func (f *Fetcher) runGo(ctx context.Context, b box, dir, in string, network bool, out io.Writer, args ...string) error {
	env := []string{
		"HOME=" + b.path(dir), "GOPATH=" + b.path(filepath.Join(f.Dir, "go")), "GOCACHE=" + b.path(filepath.Join(f.Dir, "go", "cache")),
		"GOFLAGS=-modcacherw", "GOTOOLCHAIN=local", "GOSUMDB=off", "GOWORK=off", "CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + f.Arch,
	}
	if !network {
		env = append(env, "GOPROXY=off")
	} else {
		env = append(env, f.Environ...)
		env = append(env, f.onlyProxies()...)
	}
	return b.run(ctx, command{dir: b.path(in), network: network, env: env, out: out, args: append([]string{"go"}, args...)})
}

// goDomain is that of the Go project, publicProxy its proxy of modules: go's own
// default, without asking whoever a module names.
const (
	goDomain    = "golang.org"
	publicProxy = "https://proxy." + goDomain
)

// onlyProxies keeps go from asking the servers that modules are named after: a
// profile says which those are, and go asks them by itself. The proxies are the
// computer's owner's to name.
func (f *Fetcher) onlyProxies() []string {
	if f.Private {
		return nil
	}
	proxies := publicProxy
	for _, entry := range f.Environ {
		if list, ok := strings.CutPrefix(entry, "GOPROXY="); ok {
			proxies = list
		}
	}
	kept := strings.FieldsFunc(proxies, func(r rune) bool { return r == ',' || r == '|' })
	kept = slices.DeleteFunc(kept, func(name string) bool { return name == "direct" })
	if len(kept) == 0 {
		kept = []string{publicProxy}
	}
	return []string{"GOPROXY=" + strings.Join(kept, ","), "GONOPROXY=none", "GOPRIVATE=", "GOVCS=*:off"}
}

// goBox returns where go runs: this computer's own, or Debian's.
func (f *Fetcher) goBox(ctx context.Context) (box, error) {
	if err := os.MkdirAll(filepath.Join(f.Dir, "go", "cache"), 0o755); err != nil {
		return box{}, err
	}
	program, err := exec.LookPath("go")
	if err == nil {
		if program, err = filepath.EvalSymlinks(program); err == nil {
			return newBox(f.Dir, "", filepath.Dir(filepath.Dir(program)))
		}
	}
	root, err := f.Tree(ctx, "golang-go", "ca-certificates")
	if err != nil {
		return box{}, fmt.Errorf("there is no go on this computer, and not from Debian: %w", err)
	}
	return newBox(f.Dir, root, "")
}

// packPrograms makes an archive of what was built.
func packPrograms(out, packed string) (err error) {
	entries, err := os.ReadDir(out)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return errors.New("build: it made no program: packages = [\"./cmd/…\"] names a package main")
	}
	file, err := os.Create(packed)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w := tar.NewWriter(file)
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(out, entry.Name()))
		if err == nil {
			err = addFile(w, "usr/bin/"+entry.Name(), content, true)
		}
		if err != nil {
			return err
		}
	}
	return w.Close()
}

// copyTree copies the files of a module, which has no links.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), content, 0o644)
	})
}

// writeFiles writes the files of a profile, whose paths were checked.
func writeFiles(files map[string][]byte, to string) error {
	for name, content := range files {
		full := filepath.Join(to, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, content, 0o644)); err != nil {
			return err
		}
	}
	return nil
}

// removeAll removes a folder in which others may have made some read-only.
func removeAll(dir string) error {
	_ = filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			_ = os.Chmod(name, 0o755)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
