package logstore

import (
	"errors"
	"os"

	"github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/types"
)

// ahead is how many bytes of a segment are written as zeros before entries get
// there.
const ahead = 512 << 10

// segments are the log's files. What a sync must wait for is only their bytes:
// their size is given from the start, and blocks are written once before entries
// are, so that a file system has nothing of its own to note. (A block that was
// reserved and never written is marked so, on ext4 and XFS.)
type segments struct{ *fs.FS }

// Create implements [types.VFS].
func (s segments) Create(dir, name string, size uint64) (types.WritableFile, error) {
	f, err := s.FS.Create(dir, name, size)
	if err != nil {
		return nil, err
	}
	return &logFile{WritableFile: f, data: &f.(*fs.File).File, size: int64(size), grown: true}, nil
}

// OpenWriter implements [types.VFS].
func (s segments) OpenWriter(dir, name string) (types.WritableFile, error) {
	f, err := s.FS.OpenWriter(dir, name)
	if err != nil {
		return nil, err
	}
	file := f.(*os.File)
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &logFile{WritableFile: f, data: file, size: info.Size(), grown: true}, nil
}

// A logFile is one of them, appended to by one goroutine.
type logFile struct {
	types.WritableFile // whose first Sync is that of the folder too
	data               *os.File
	size               int64

	// owned by who appends
	written int64 // up to here the blocks were written once
	grown   bool  // the file system has something to note
}

// WriteAt implements [io.WriterAt]. Behind what is written there is nothing yet:
// a log only grows.
func (f *logFile) WriteAt(p []byte, at int64) (int, error) {
	if end := at + int64(len(p)); end > f.written {
		f.grown = true
		next := max(end, min(end+ahead, f.size))
		if _, err := f.data.WriteAt(make([]byte, next-end), end); err != nil {
			return 0, err
		}
		f.written = next
	}
	return f.data.WriteAt(p, at)
}

// Sync returns when what was written is on the disk.
func (f *logFile) Sync() error {
	if !f.grown {
		return syncData(f.data)
	}
	if err := f.WritableFile.Sync(); err != nil {
		return err
	}
	f.grown = false
	return nil
}
