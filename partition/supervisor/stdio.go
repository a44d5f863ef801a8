//go:build unix

package supervisor

import (
	"errors"
	"io"
	"os"
	"sync"

	"github.com/creack/pty"
)

// A stdio is the three streams of a command, from outside.
type stdio struct {
	in        io.WriteCloser
	out, fail io.Reader
	theirs    [3]int // descriptors for the command
	terminal  *os.File

	forget, shut func()
}

// pipes joins a command that takes a terminal for nothing: each stream is a
// pipe.
func pipes() (*stdio, error) {
	var in, out, fail pipe
	each := func(f func(*pipe)) func() {
		return func() {
			for _, p := range []*pipe{&in, &out, &fail} {
				f(p)
			}
		}
	}
	s := &stdio{forget: each((*pipe).closeTheirs), shut: each((*pipe).close)}
	if err := errors.Join(in.open(true), out.open(false), fail.open(false)); err != nil {
		s.shut()
		return nil, err
	}
	s.in, s.out, s.fail, s.theirs = in.ours, out.ours, fail.ours, [3]int{in.theirs, out.theirs, fail.theirs}
	return s, nil
}

// endOfTransmission is what a terminal takes for the end of input, typed at the
// beginning of a line (termios(3), VEOF).
const endOfTransmission = 4

// screen joins a command to a terminal of its own (pty(7)): all that it says comes
// in one stream.
func screen(size Size) (*stdio, error) {
	ours, theirs, err := pty.Open()
	if err != nil {
		return nil, err
	}
	fd := int(theirs.Fd()) // which makes it block
	s := &stdio{
		in: typist{ours}, out: ours, fail: nothing{}, theirs: [3]int{fd, fd, fd}, terminal: ours,
		forget: sync.OnceFunc(func() { _ = theirs.Close() }),
	}
	s.shut = func() {
		s.forget()
		_ = ours.Close()
	}
	if err := s.resize(size); err != nil {
		s.shut()
		return nil, err
	}
	return s, nil
}

// resize tells the command that its terminal has another size, if it has one.
func (s *stdio) resize(to Size) error {
	if s.terminal == nil || to == (Size{}) {
		return nil
	}
	return pty.Setsize(s.terminal, &pty.Winsize{Rows: to.Rows, Cols: to.Columns})
}

// A typist writes to a terminal, which stays open for what the command says.
type typist struct{ io.Writer }

// Close types the end of input.
func (t typist) Close() error {
	_, err := t.Write([]byte{endOfTransmission})
	return err
}

// nothing is a stream that has ended.
type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, io.EOF }
