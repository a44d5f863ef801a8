package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// attempts is how often a download is tried that comes to nothing. One that
	// gets further begins to count anew.
	attempts = 5
	// silence is how long a server may say nothing.
	silence = 60 * time.Second
	// maxDownload bounds one file.
	maxDownload = 8 << 30
)

// A sum is what the content of a file must hash to.
type sum struct {
	name string // of the hash
	want []byte
}

func sha256Sum(text string) (sum, error) {
	want, err := hex.DecodeString(strings.TrimPrefix(text, "sha256:"))
	if err == nil && len(want) != sha256.Size {
		err = errors.New("not a SHA-256")
	}
	return sum{"sha256", want}, err
}

func (s sum) hash() hash.Hash {
	switch s.name {
	case "sha512":
		return sha512.New()
	case "sha384":
		return sha512.New384()
	}
	return sha256.New()
}

func (s sum) String() string { return s.name + ":" + hex.EncodeToString(s.want) }

// A finalError is one that trying again does not help.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// download returns the file of a URL with that content. Of several attempts
// each goes on where the one before ended, also one of an earlier call.
func (f *Fetcher) download(ctx context.Context, from string, want sum, report func(Progress)) (name string, err error) {
	name = filepath.Join(f.Dir, "downloads", hex.EncodeToString(want.want))
	if _, err := os.Lstat(name); err == nil {
		if checkFile(name, want) == nil {
			return name, nil
		}
		if err := os.Remove(name); err != nil {
			return "", err
		}
	}
	for failures := 0; ; {
		had := size(name + ".part")
		err = f.attempt(ctx, from, name+".part", report)
		if err == nil {
			if err = checkFile(name+".part", want); err == nil {
				return name, os.Rename(name+".part", name)
			}
			err = errors.Join(finalError{err}, os.Remove(name+".part"))
			if had > 0 { // what an earlier attempt left may be what is wrong
				failures++
				had = 0
				if failures < attempts {
					continue
				}
			}
		}
		if _, final := errors.AsType[finalError](err); final || ctx.Err() != nil {
			return "", err
		}
		failures++
		if size(name+".part") > had {
			failures = 1
		}
		if failures == attempts {
			return "", fmt.Errorf("%w (tried %d times; what has come is kept)", err, attempts)
		}
		report(Progress{What: fmt.Sprintf("trying %s again: %v", short(from), err), Bytes: size(name + ".part")})
		if err := pause(ctx, failures); err != nil {
			return "", err
		}
	}
}

// pause waits, longer after each failure, and never exactly as long as others.
func pause(ctx context.Context, failures int) error {
	d := 500 * time.Millisecond << failures
	t := time.NewTimer(d/2 + rand.N(d))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func size(name string) int64 {
	info, err := os.Lstat(name)
	if err != nil {
		return 0
	}
	return info.Size()
}

// checkFile tells whether a file has that content.
func checkFile(name string, want sum) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	h := want.hash()
	if _, err := io.Copy(h, file); err != nil {
		return err
	}
	if got := h.Sum(nil); !bytes.Equal(got, want.want) {
		return fmt.Errorf("its digest is %s, and %s was expected: it is another file, or was changed on its way", sum{want.name, got}, want)
	}
	return nil
}

// attempt adds to a file what is still missing of it.
func (f *Fetcher) attempt(ctx context.Context, from, name string, report func(Progress)) (err error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return finalError{err}
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	u, err := url.Parse(from)
	if err != nil {
		return finalError{err}
	}
	if u.Scheme == "file" && !f.Private {
		return finalError{errLocalFile}
	}
	if u.Scheme == "file" {
		return f.copyLocal(u.Path, file, report)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(silence, func() { cancel(fmt.Errorf("%s said nothing for %v", u.Host, silence)) })
	defer watch.Stop()
	body, begin, total, err := f.ask(ctx, from, size(name))
	if err == nil {
		defer func() { _ = body.Close() }()
		if begin == 0 {
			err = file.Truncate(0)
		}
	}
	if err == nil {
		counted := &counter{to: file, bytes: begin, size: total, what: "downloading " + short(from), report: report, watch: watch, clock: f.Clock}
		err = counted.copy(body)
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, syscall.ENOSPC) {
		return finalError{err}
	}
	return err
}

func (f *Fetcher) copyLocal(from string, to *os.File, report func(Progress)) error {
	info, err := os.Stat(from)
	if err != nil {
		return finalError{err}
	}
	if !info.Mode().IsRegular() {
		return finalError{fmt.Errorf("%s is not a file", from)}
	}
	in, err := os.Open(from)
	if err != nil {
		return finalError{err}
	}
	defer func() { _ = in.Close() }()
	if err := to.Truncate(0); err != nil {
		return finalError{err}
	}
	counted := &counter{to: to, size: info.Size(), what: "copying " + short(from), report: report, clock: f.Clock}
	if err := counted.copy(in); err != nil {
		return finalError{err}
	}
	return nil
}

// ask asks a server for a file from an offset on. It may answer with all of it.
func (f *Fetcher) ask(ctx context.Context, from string, offset int64) (body io.ReadCloser, begin, total int64, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, 0, 0, finalError{err}
	}
	r.Header.Set("Accept-Encoding", "identity")
	if offset > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	resp, err := (&http.Client{Transport: f.guard().transport()}).Do(r)
	if err != nil {
		return nil, 0, 0, err
	}
	switch code := resp.StatusCode; {
	case code == http.StatusPartialContent && strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", offset)):
		begin = offset
	case code == http.StatusOK:
	case code == http.StatusRequestedRangeNotSatisfiable && offset > 0: // all of it is there
		return io.NopCloser(strings.NewReader("")), offset, offset, resp.Body.Close()
	default:
		err := fmt.Errorf("%s answers %s", r.URL.Host, resp.Status)
		if code/100 == 4 && code != http.StatusRequestTimeout && code != http.StatusTooManyRequests {
			err = finalError{err}
		}
		return nil, 0, 0, errors.Join(err, resp.Body.Close())
	}
	if resp.ContentLength > 0 {
		total = begin + resp.ContentLength
	}
	if total > maxDownload {
		return nil, 0, 0, errors.Join(finalError{fmt.Errorf("%d bytes are more than the %d of one file", total, int64(maxDownload))}, resp.Body.Close())
	}
	return resp.Body, begin, total, nil
}

// A counter tells how much of a file has come.
type counter struct {
	to          io.Writer
	bytes, size int64
	what        string
	report      func(Progress)
	watch       *time.Timer
	clock       func() time.Time
	told        time.Time
}

func (c *counter) copy(from io.Reader) error {
	_, err := io.Copy(c, from)
	return err
}

// Write adds to the file.
func (c *counter) Write(p []byte) (int, error) {
	if c.watch != nil {
		c.watch.Reset(silence)
	}
	if c.bytes += int64(len(p)); c.bytes > maxDownload {
		return 0, finalError{fmt.Errorf("it has more than %d bytes", int64(maxDownload))}
	}
	if now := c.clock(); now.Sub(c.told) > 200*time.Millisecond {
		c.told = now
		c.report(Progress{c.what, c.bytes, c.size})
	}
	return c.to.Write(p)
}

// short is enough of a URL to tell it from others.
func short(from string) string {
	if u, err := url.Parse(from); err == nil {
		from = filepath.Base(u.Path)
	}
	return from[max(0, len(from)-60):]
}
