package logstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"syscall"

	"github.com/hashicorp/raft"
)

// ErrDamaged says that what is on disk is not what was written there: bytes
// changed, or files are gone. A disk that fails, is full or is in use by another
// process is something else.
var ErrDamaged = errors.New("damaged on disk")

func damaged(what string, err error) error {
	if err == nil {
		return fmt.Errorf("%w: %s", ErrDamaged, what)
	}
	return fmt.Errorf("%w: %s: %w", ErrDamaged, what, err)
}

// recovered makes a damage of a panic: libraries trust what they read.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = damaged(fmt.Sprint("a reader failed: ", p), nil)
	}
}

// Refused reports whether the system, and not what was read, is why something
// failed. A file that is not there was lost, and one that is there and that
// nothing speaks of as well.
func Refused(err error) bool {
	var no syscall.Errno
	return errors.As(err, &no) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist)
}

// The files below the log check only its last batch. So each entry carries a
// checksum where raft leaves room for one: a version and CRC-32C, big end
// first, of index, term, type and data. It never leaves the disk.
const (
	sealVersion = 1
	sealSize    = 1 + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(l *raft.Log) uint32 {
	var head [17]byte
	binary.BigEndian.PutUint64(head[:], l.Index)
	binary.BigEndian.PutUint64(head[8:], l.Term)
	head[16] = byte(l.Type)
	return crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, l.Data)
}

func seal(l *raft.Log) []byte {
	return binary.BigEndian.AppendUint32([]byte{sealVersion}, checksum(l))
}

// unseal takes the checksum off, and reports whether it holds. An entry from
// before there was one has none.
func unseal(l *raft.Log) bool {
	sum := l.Extensions
	l.Extensions = nil
	return len(sum) == 0 ||
		len(sum) == sealSize && sum[0] == sealVersion && binary.BigEndian.Uint32(sum[1:]) == checksum(l)
}
