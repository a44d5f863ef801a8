package source

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/slapmesh/slapmesh/partition/release"
)

// archive fetches a tar or zip archive.
func (f *Fetcher) archive(ctx context.Context, s release.Source, report func(Progress)) (Archive, error) {
	want, err := sha256Sum(s.Digest)
	if err != nil {
		return Archive{}, err
	}
	name, err := f.download(ctx, s.URL, want, report)
	if err != nil {
		return Archive{}, err
	}
	open := func(context.Context) (io.ReadCloser, error) {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		return openArchive(file, func(h *tar.Header) bool { return place(h, s.Into, s.Strip) })
	}
	return Archive{Name: path.Base(s.URL), Version: s.Digest[:12], Size: size(name), Open: open}, nil
}

// place moves an entry of an archive to where it belongs. It tells whether
// there is anything left of it.
func place(h *tar.Header, folder string, strip int) bool {
	name, ok := stripped(h.Name, strip)
	if !ok {
		return false
	}
	h.Name = into(folder, name)
	if h.Typeflag == tar.TypeLink {
		target, ok := stripped(h.Linkname, strip)
		h.Linkname = into(folder, target)
		return ok
	}
	return true
}

// stripped leaves out so many leading folders of a path.
func stripped(name string, strip int) (string, bool) {
	for strings.HasPrefix(name, "./") {
		name = strings.TrimLeft(name[2:], "/")
	}
	for range strip {
		_, rest, ok := strings.Cut(name, "/")
		if !ok {
			return "", false
		}
		name = rest
	}
	return name, strings.Trim(name, "/") != "" && name != "."
}

// openArchive reads an archive, whatever it is packed with, as tar. Closing it
// closes the file.
func openArchive(file *os.File, keep func(*tar.Header) bool) (io.ReadCloser, error) {
	buffered := bufio.NewReaderSize(file, 1<<16)
	magic, _ := buffered.Peek(6) // a shorter one is no archive, as its reader will say
	if bytes.HasPrefix(magic, []byte("PK\x03\x04")) || bytes.HasPrefix(magic, []byte("PK\x05\x06")) {
		return closing{write(func(w *tar.Writer) error { return copyZip(file, w, keep) }), file}, nil
	}
	plain, err := decompress(buffered, magic)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return closing{write(func(w *tar.Writer) error { return copyTar(plain, w, keep) }), file}, nil
}

// closing closes the file behind an archive with it.
type closing struct {
	io.ReadCloser
	file io.Closer
}

// Close closes both.
func (c closing) Close() error { return errors.Join(c.ReadCloser.Close(), c.file.Close()) }

// maxWindow bounds the memory of a decompressor.
const maxWindow = 256 << 20

func decompress(r io.Reader, magic []byte) (io.Reader, error) {
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		return gzip.NewReader(r)
	case bytes.HasPrefix(magic, []byte("BZh")):
		return bzip2.NewReader(r), nil
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	case bytes.HasPrefix(magic, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		return xz.ReaderConfig{DictCap: 1 << 20}.NewReader(r)
	}
	return r, nil
}

// copyTar copies the entries that keep wants, as it changes them.
func copyTar(from io.Reader, w *tar.Writer, keep func(*tar.Header) bool) error {
	r := tar.NewReader(from)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("archive: %w", err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader || !keep(h) {
			continue
		}
		if err := copyEntry(h, r, w); err != nil {
			return fmt.Errorf("archive: entry %.200q: %w", h.Name, err)
		}
	}
}

func copyEntry(h *tar.Header, content io.Reader, w *tar.Writer) error {
	plain := &tar.Header{Name: h.Name, Linkname: h.Linkname, Typeflag: h.Typeflag, Mode: h.Mode}
	if h.Typeflag == tar.TypeGNUSparse {
		plain.Typeflag = tar.TypeReg // its reader fills the holes
	}
	if plain.Typeflag == tar.TypeReg {
		plain.Size = h.Size
	}
	if err := w.WriteHeader(plain); err != nil {
		return err
	}
	if plain.Typeflag != tar.TypeReg {
		return nil
	}
	_, err := io.Copy(w, content)
	return err
}

// copyZip copies the entries of a zip archive that keep wants.
func copyZip(file *os.File, w *tar.Writer, keep func(*tar.Header) bool) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	r, err := zip.NewReader(file, info.Size())
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	for _, e := range r.File {
		if err := copyZipped(e, w, keep); err != nil {
			return fmt.Errorf("archive: entry %.200q: %w", e.Name, err)
		}
	}
	return nil
}

func copyZipped(e *zip.File, w *tar.Writer, keep func(*tar.Header) bool) error {
	h := &tar.Header{Name: e.Name, Typeflag: tar.TypeReg, Mode: int64(e.Mode().Perm()), Size: int64(e.UncompressedSize64)}
	switch mode := e.Mode(); {
	case mode.IsDir():
		h.Typeflag, h.Size = tar.TypeDir, 0
	case mode&fs.ModeSymlink != 0:
		h.Typeflag = tar.TypeSymlink
	case !mode.IsRegular():
		return fmt.Errorf("is neither file, folder nor link (%v)", mode.Type())
	}
	if h.Size < 0 {
		return errors.New("has no sound size")
	}
	content, err := e.Open()
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	if h.Typeflag == tar.TypeSymlink {
		target, err := io.ReadAll(io.LimitReader(content, 4097))
		if err != nil {
			return err
		}
		h.Linkname, h.Size = string(target), 0
	}
	if !keep(h) {
		return nil
	}
	return copyEntry(h, content, w)
}
