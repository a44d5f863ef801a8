package consensustest

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sync"
	"time"
)

// A Register is a small machine: it keeps all commands that it was given, in
// order. The reply to a command is the number of those before it.
type Register struct {
	mu       sync.Mutex
	commands [][]byte
	last     time.Time
}

// Apply implements consensus.Machine.
func (r *Register) Apply(_ uint64, at time.Time, commands [][]byte) [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	replies := make([][]byte, len(commands))
	for i, c := range commands {
		replies[i] = binary.BigEndian.AppendUint64(nil, uint64(len(r.commands)))
		r.commands = append(r.commands, c)
	}
	r.last = at
	return replies
}

// Commands returns all commands so far.
func (r *Register) Commands() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]string, len(r.commands))
	for i, c := range r.commands {
		all[i] = string(c)
	}
	return all
}

// Last returns the time of the last group.
func (r *Register) Last() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// Snapshot implements consensus.Machine.
func (r *Register) Snapshot() (io.WriterTo, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return registerSnapshot(slices.Clip(r.commands)), nil
}

type registerSnapshot [][]byte

// WriteTo implements [io.WriterTo].
func (s registerSnapshot) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for _, c := range s {
		n, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(c))), c...))
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// maxCommand bounds a command that Restore reads.
const maxCommand = 64 << 20

// Restore implements consensus.Machine.
func (r *Register) Restore(from io.Reader) error {
	var commands [][]byte
	for {
		var size uint32
		err := binary.Read(from, binary.BigEndian, &size)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && size > maxCommand {
			err = errors.New("command too large")
		}
		if err != nil {
			return err
		}
		c := make([]byte, size)
		if _, err := io.ReadFull(from, c); err != nil {
			return err
		}
		commands = append(commands, c)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.commands = commands
	return nil
}
