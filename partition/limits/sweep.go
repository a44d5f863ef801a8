//go:build linux

package limits

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// labels are the extended attributes that may name, on the group of a state
// folder, that folder. Kernels differ in which one control groups take.
var labels = []string{"user.slapd.folder", "trusted.slapd.folder"}

// label writes down whose a group is. Where it cannot, the group stays when
// its folder is gone.
func label(dir, folder string) {
	for _, name := range labels {
		if unix.Setxattr(dir, name, []byte(folder), 0) == nil {
			return
		}
	}
}

// labelOf returns the folder that a group is for, or nothing.
func labelOf(dir string) string {
	value := make([]byte, unix.PathMax)
	for _, name := range labels {
		if n, err := unix.Getxattr(dir, name, value); err == nil {
			return string(value[:n])
		}
	}
	return ""
}

// sweep removes the groups of state folders that are gone, as rm -rf leaves
// them behind. One in which something still runs stays.
func (t *Tree) sweep() {
	for _, base := range t.base {
		groups, err := filepath.Glob(filepath.Join(base, prefix+"*"))
		if err != nil {
			continue // which no folder of control groups is
		}
		for _, group := range groups {
			folder := labelOf(group)
			if folder == "" {
				continue
			}
			if _, err := os.Lstat(folder); !errors.Is(err, fs.ErrNotExist) {
				continue
			}
			partitions, err := os.ReadDir(group)
			if err != nil {
				continue // another daemon removed it
			}
			for _, p := range partitions {
				if p.IsDir() {
					_ = unix.Rmdir(filepath.Join(group, p.Name())) // fails while something runs there
				}
			}
			_ = unix.Rmdir(group)
		}
	}
}
