//go:build unix

package supervisor

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// errBusy refuses to touch the data of a partition in which something runs.
var errBusy = errors.New("something runs in the partition: its data is no whole thing")

// idle reports whether the supervisor was given nothing to do yet.
func (s *server) idle() error {
	idle := make(chan bool, 1)
	s.machine.send(func() { idle <- s.machine.fresh() })
	select {
	case is := <-idle:
		if is {
			return nil
		}
		return errBusy
	case <-s.machine.ended:
		return ErrStopping
	}
}

func (s *server) pack(conn *net.UnixConn) error {
	if err := s.idle(); err != nil {
		return err
	}
	if err := packFolder(s.root, &pieces{w: &frameWriter{conn: conn}}); err != nil {
		return err
	}
	return writeFrame(conn, reply{Done: true})
}

func (s *server) unpack(conn *net.UnixConn) error {
	if err := s.idle(); err != nil {
		return err
	}
	if err := unpackFolder(s.root, &unpieces{r: conn}); err != nil {
		err = errors.Join(writeFrame(conn, reply{Error: err.Error()}), err)
		_, _ = io.Copy(io.Discard, conn) // until the caller has read why, and goes
		return err
	}
	if err := s.host.flush(); err != nil {
		return err
	}
	return writeFrame(conn, reply{Done: true})
}

// pieces sends what is written as messages.
type pieces struct{ w *frameWriter }

func (p *pieces) Write(b []byte) (int, error) {
	written := 0
	for part := range slices.Chunk(b, packPiece) {
		if err := p.w.send(reply{Stream: streamOut, Data: part}); err != nil {
			return written, err
		}
		written += len(part)
	}
	return written, nil
}

// unpieces reads what came as messages, up to the one that says that it is
// all.
type unpieces struct {
	r    io.Reader
	left []byte
	done bool
}

func (u *unpieces) Read(b []byte) (int, error) {
	for len(u.left) == 0 {
		if u.done {
			return 0, io.EOF
		}
		var r reply
		if err := readFrame(u.r, &r); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		u.left, u.done = r.Data, r.Done
	}
	n := copy(b, u.left)
	u.left = u.left[n:]
	return n, nil
}

// lostAndFound is made by a file system of its own, and root's.
const lostAndFound = "lost+found"

// packFolder writes folders, files and symbolic links. A file with several
// names becomes several files; sockets and pipes are left out, for who made
// them makes them again.
func packFolder(folder string, w io.Writer) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	out := tar.NewWriter(w)
	if err := packAll(root, ".", out); err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	return out.Close()
}

// packAll writes what is in a folder below root.
func packAll(root *os.Root, folder string, out *tar.Writer) error {
	f, err := root.Open(folder)
	if err != nil {
		return err
	}
	entries, err := f.ReadDir(-1)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(folder, e.Name())
		if name == lostAndFound {
			continue
		}
		if err := packOne(root, name, out); err != nil {
			return err
		}
		if e.IsDir() {
			if err := packAll(root, name, out); err != nil {
				return err
			}
		}
	}
	return nil
}

func packOne(root *os.Root, name string, out *tar.Writer) error {
	info, err := root.Lstat(name)
	if err != nil {
		return err
	}
	h := &tar.Header{Name: name, Mode: int64(info.Mode().Perm()), ModTime: info.ModTime()}
	switch {
	case info.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
	case info.Mode().IsRegular():
		h.Typeflag, h.Size = tar.TypeReg, info.Size()
	case info.Mode()&fs.ModeSymlink != 0:
		h.Typeflag = tar.TypeSymlink
		if h.Linkname, err = root.Readlink(name); err != nil {
			return err
		}
	default:
		return nil
	}
	if err := out.WriteHeader(h); err != nil || h.Typeflag != tar.TypeReg {
		return err
	}
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if n, err := io.CopyN(out, f, h.Size); err != nil {
		return fmt.Errorf("%s: %d of %d bytes: %w", name, n, h.Size, err)
	}
	return nil
}

// unpackFolder makes a folder hold what an archive does, and nothing else.
func unpackFolder(folder string, r io.Reader) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if err := empty(root); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	in := tar.NewReader(r)
	var folders []*tar.Header
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = unpackOne(root, h, in)
		}
		if err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
		if h.Typeflag == tar.TypeDir {
			folders = append(folders, h)
		}
	}
	for _, h := range slices.Backward(folders) { // one that nobody may write in gets its mode last
		name := path.Clean(h.Name)
		if err := errors.Join(root.Chmod(name, fs.FileMode(h.Mode).Perm()), root.Chtimes(name, h.ModTime, h.ModTime)); err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
	}
	_, err = io.Copy(io.Discard, r) // up to its end: what is cut off is no whole archive
	return err
}

// empty removes all that is in a folder.
func empty(root *os.Root) error {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == lostAndFound {
			continue
		}
		if err := root.RemoveAll(e.Name()); err != nil {
			return err
		}
	}
	return nil
}

func unpackOne(root *os.Root, h *tar.Header, in io.Reader) error {
	name, mode := path.Clean(h.Name), fs.FileMode(h.Mode).Perm()
	if !filepath.IsLocal(name) || name == "." {
		return fmt.Errorf("%.200q is no name within the folder", h.Name)
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return root.Mkdir(name, 0o700)
	case tar.TypeSymlink:
		return root.Symlink(h.Linkname, name)
	case tar.TypeReg:
		f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, in)
		if err = errors.Join(err, f.Chmod(mode), f.Close()); err != nil {
			return err
		}
		return root.Chtimes(name, h.ModTime, h.ModTime)
	}
	return fmt.Errorf("%s is of a kind (%q) that no partition has", name, h.Typeflag)
}
