//go:build unix

package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// makeFolder makes the folder's parts be. With a uid of its own, the
// partition owns data and run and may pass through the folder, no more.
func makeFolder(folder string, own bool) error {
	mode := fs.FileMode(0o700)
	if own {
		mode = 0o711
	}
	if err := os.MkdirAll(filepath.Dir(folder), mode); err != nil {
		return err
	}
	for _, d := range []struct {
		name string
		mode fs.FileMode
	}{{"", mode}, {privateDir, 0o700}, {etcDir, 0o755}, {dataDir, 0o700}, {runDir, 0o700}} {
		path := filepath.Join(folder, d.name)
		err := os.Mkdir(path, d.mode)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			err = os.Chmod(path, d.mode) // whatever the umask
		}
		if err != nil {
			return fmt.Errorf("make partition folder: %w", err)
		}
	}
	return nil
}

// writeEtc writes the files that a partition sees in /etc, and returns their
// names. Only the daemon can write there, so no link can be in the way.
func writeEtc(folder string, uid, gid int, resolv string) ([]string, error) {
	name := filepath.Base(folder)
	files := map[string]string{
		"passwd": fmt.Sprintf("root:x:0:0:root:/root:/bin/sh\nslapd:x:%d:%d:slapd:/data:/bin/sh\n"+
			"nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n", uid, gid),
		"group":         fmt.Sprintf("root:x:0:\nslapd:x:%d:\nnogroup:x:65534:\n", gid),
		"hosts":         "127.0.0.1 localhost " + name + "\n::1 localhost\n",
		"nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
		"resolv.conf":   resolv,
	}
	names := make([]string, 0, len(files))
	for name, content := range files {
		path := filepath.Join(folder, etcDir, name)
		names = append(names, name)
		if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, []byte(content)) {
			continue
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return nil, fmt.Errorf("write partition's /etc: %w", err)
		}
	}
	return names, nil
}

// giveTo makes the partition's user the owner of all that is in data and run.
// Nothing runs in the partition then.
func giveTo(folder string, uid int) error {
	for _, part := range []string{dataDir, runDir} {
		if err := chownAll(filepath.Join(folder, part), uid); err != nil {
			return err
		}
	}
	return nil
}

func chownAll(folder string, uid int) error {
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, uid)
	})
	if err != nil {
		return fmt.Errorf("give partition to uid %d: %w", uid, err)
	}
	return nil
}

// removeAll removes path, even what its owner made unreadable.
func removeAll(path string) error {
	err := os.RemoveAll(path)
	if err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if err := openUp(root, "."); err != nil {
		return err
	}
	return os.RemoveAll(path)
}

// openUp makes every directory below dir writable, without following links.
func openUp(root *os.Root, dir string) error {
	if err := root.Chmod(dir, 0o700); err != nil {
		return err
	}
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	entries, err := d.ReadDir(-1)
	if err = errors.Join(err, d.Close()); err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := openUp(root, filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// lastLines returns the end of a small file, for an error message.
func lastLines(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	b = bytes.TrimSpace(b[max(0, len(b)-2048):])
	lines := strings.Split(string(b), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], "; ")
}
