package kernel

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
)

// diskUsage returns how long the files below a folder are together. With an
// error it is what could be counted.
func diskUsage(ctx context.Context, folder string) (bytes uint64, err error) {
	walked := filepath.WalkDir(folder, func(_ string, d fs.DirEntry, failed error) error {
		if failed == nil && d.Type().IsRegular() {
			var info fs.FileInfo
			if info, failed = d.Info(); failed == nil {
				bytes = plus(bytes, uint64(max(0, info.Size())))
			}
		}
		if failed != nil && !errors.Is(failed, fs.ErrNotExist) {
			err = failed
		}
		return ctx.Err()
	})
	return bytes, errors.Join(err, walked)
}
