package source

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/slapmesh/slapmesh/partition/build/process"
	"github.com/slapmesh/slapmesh/partition/release"
)

// git fetches a commit with the computer's own git, which checks that the
// content is the commit's. Submodules are not followed.
func (f *Fetcher) git(ctx context.Context, s release.Source, report func(Progress)) (Archive, error) {
	program, err := exec.LookPath("git")
	if err != nil {
		return Archive{}, errors.New("git is not on this computer: install it (apt-get install git)")
	}
	packed := filepath.Join(f.Dir, "downloads", "git-"+s.Digest+".tar")
	if _, err := os.Lstat(packed); err != nil {
		if err := f.fetchCommit(ctx, program, s, packed, report); err != nil {
			return Archive{}, err
		}
	}
	open := func(context.Context) (io.ReadCloser, error) {
		file, err := os.Open(packed)
		if err != nil {
			return nil, err
		}
		return openArchive(file, func(h *tar.Header) bool { return place(h, s.Into, 0) })
	}
	return Archive{Name: filepath.Base(s.URL), Version: s.Digest, Size: size(packed), Open: open}, nil
}

func (f *Fetcher) fetchCommit(ctx context.Context, program string, s release.Source, packed string, report func(Progress)) error {
	dir, err := f.work()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	lead, err := openRelay(ctx, f.guard())
	if err != nil {
		return err
	}
	defer func() { _ = lead.close() }()
	protocols := "https:http"
	if f.Private {
		protocols += ":file"
	} else if strings.HasPrefix(s.URL, "file:") {
		return errLocalFile
	}
	git := func(args ...string) error {
		cmd := exec.CommandContext(ctx, program, append([]string{
			"-C", dir, "-c", "protocol.ext.allow=never", "-c", "core.hooksPath=/dev/null", "-c", "fetch.fsckObjects=true",
		}, args...)...)
		cmd.Env = append([]string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_ALLOW_PROTOCOL=" + protocols, "LC_ALL=C.UTF-8",
		}, append(f.Environ, lead.environ()...)...)
		return lead.why(runTail(ctx, cmd))
	}
	format := "sha1"
	if len(s.Digest) == 64 {
		format = "sha256"
	}
	if err := git("init", "-q", "--bare", "--object-format="+format); err != nil {
		return err
	}
	report(Progress{What: "fetching commit " + s.Digest[:12]})
	for failures := 1; ; failures++ {
		err := git("fetch", "-q", "--depth=1", "--no-tags", "--no-recurse-submodules", "--", s.URL, s.Digest)
		if _, final := errors.AsType[finalError](err); err != nil && !final && ctx.Err() == nil { // a server need not give a commit by its name
			err = git("fetch", "-q", "--no-recurse-submodules", "--", s.URL, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
		}
		if err == nil {
			break
		}
		if _, final := errors.AsType[finalError](err); final || failures == 3 || ctx.Err() != nil {
			return err
		}
		report(Progress{What: "trying again: " + lastLine(err.Error())})
		if err := pause(ctx, failures); err != nil {
			return err
		}
	}
	if err := git("cat-file", "-e", s.Digest+"^{commit}"); err != nil {
		return fmt.Errorf("commit %s is not in the repository: %w", s.Digest, err)
	}
	if err := git("archive", "--format=tar", "-o", filepath.Join(dir, "out.tar"), s.Digest); err != nil {
		return err
	}
	return os.Rename(filepath.Join(dir, "out.tar"), packed)
}

// runTail runs a program. The error has the end of what it said.
func runTail(ctx context.Context, cmd *exec.Cmd) error {
	said := &tail{}
	cmd.Stdout, cmd.Stderr = said, said
	cmd.WaitDelay = 5 * time.Second
	process.Confine(cmd)
	if err := process.Run(cmd); err != nil {
		return explain(ctx, filepath.Base(cmd.Path), err, said)
	}
	return nil
}

// explain says how a program failed, with the end of what it said.
func explain(ctx context.Context, program string, err error, said *tail) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%s: %w: %s", program, err, said)
}

// A tail keeps the end of an output, however long that is.
type tail struct{ data []byte }

const maxTail = 2 << 10

// Write adds to the output.
func (t *tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p[max(0, len(p)-maxTail):]...)
	t.data = t.data[max(0, len(t.data)-maxTail):]
	return len(p), nil
}

// String is the last lines, on one.
func (t *tail) String() string {
	lines := strings.Split(strings.TrimSpace(string(t.data)), "\n")
	return strings.Join(lines[max(0, len(lines)-6):], "; ")
}

func lastLine(text string) string { return text[max(0, len(text)-160):] }
