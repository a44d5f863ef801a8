package remote

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
)

// The last slice is kept in one file: a line that says what it is and whose,
// the frames that make it, and the SHA-256 of all that.
const (
	keptName  = "slice"
	keptMagic = "slapmesh slice 1 "
)

// save writes the slice when it has changed, until ctx is done.
func (f *Follower) save(ctx context.Context) {
	changed := f.Subscribe(ledger.TopicAll())
	defer changed.Close()
	saved := f.View().Index()
	write := func() {
		s := f.View()
		if s.Index() == saved {
			return
		}
		if err := keep(f.cfg.Dir, f.cfg.Self, s); err != nil {
			f.cfg.Log.Warn("the slice of the ledger is not kept", "err", err)
			return
		}
		saved = s.Index()
	}
	defer write()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed.Changed():
		}
		write()
		pause := time.NewTimer(f.cfg.SaveEvery)
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}

// keep writes s to dir, whole or not at all.
func keep(dir string, self ledger.PeerID, s *ledger.State) (err error) {
	file, err := os.CreateTemp(dir, keptName+".*") // mode 0600: it holds connection secrets
	if err != nil {
		return fmt.Errorf("keep slice: %w", err)
	}
	defer func() {
		if err != nil {
			_ = file.Close()           // what counts is err
			_ = os.Remove(file.Name()) // what counts is err
			err = fmt.Errorf("keep slice: %w", err)
		}
	}()
	sum := sha256.New()
	buffered := bufio.NewWriter(file)
	w := io.MultiWriter(buffered, sum)
	if _, err := fmt.Fprintf(w, "%s%s\n", keptMagic, self); err != nil {
		return err
	}
	for frame := range s.AllFrames() {
		if err := writeFrame(w, frame); err != nil {
			return err
		}
	}
	if _, err := buffered.Write(sum.Sum(nil)); err != nil {
		return err
	}
	if err := errors.Join(buffered.Flush(), file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), filepath.Join(dir, keptName))
}

// load reads what keep wrote. It returns nil if there is nothing.
func load(dir string, self ledger.PeerID) (*ledger.State, error) {
	data, err := os.ReadFile(filepath.Join(dir, keptName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load slice: %w", err)
	}
	s, err := parseKept(data, self)
	if err != nil {
		return nil, fmt.Errorf("load slice: %w", err)
	}
	return s, nil
}

func parseKept(data []byte, self ledger.PeerID) (*ledger.State, error) {
	body := len(data) - sha256.Size
	if body < 0 {
		return nil, io.ErrUnexpectedEOF
	}
	if sum := sha256.Sum256(data[:body]); !bytes.Equal(sum[:], data[body:]) {
		return nil, errors.New("damaged")
	}
	data, ok := bytes.CutPrefix(data[:body], []byte(keptMagic+string(self)+"\n"))
	if !ok {
		return nil, errors.New("not a slice of this peer and version")
	}
	s, r := ledger.NewPartial(), bytes.NewReader(data)
	for {
		frame, err := readFrame(r)
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			return nil, err
		}
		if _, err := s.Merge(frame); err != nil {
			return nil, err
		}
	}
}
