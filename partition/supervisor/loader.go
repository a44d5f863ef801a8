//go:build unix

package supervisor

import (
	"bufio"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// A loader finds programs in a release tree that is not the root file system,
// which is how a partition without walls runs. The zero loader is for a
// partition whose root is the tree: names are found as usual.
type loader struct{ tree string }

// programDirs and libraryDirs are where a tree keeps programs and libraries.
var (
	programDirs = []string{"usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin"}
	libraryDirs = []string{"usr/lib/" + multiarch, "lib/" + multiarch, "usr/lib", "lib"}
)

// resolve rewrites argv so that a program of the tree runs with the tree's
// own libraries. A program that the tree lacks is the computer's.
func (l loader) resolve(argv, env []string, dir string) ([]string, error) {
	if l.tree == "" {
		return argv, nil
	}
	path, ok := l.find(argv[0])
	if !ok {
		found, err := lookPath(argv[0], env, dir)
		if err != nil {
			return nil, err
		}
		return append([]string{found}, argv[1:]...), nil
	}
	wrapped, err := l.wrap(path, 0)
	if err != nil {
		return nil, fmt.Errorf("start %s without walls: %w", argv[0], err)
	}
	return append(wrapped, argv[1:]...), nil
}

// find looks for a program in the tree.
func (l loader) find(name string) (string, bool) {
	names := []string{name}
	if !strings.Contains(name, "/") {
		names = nil
		for _, d := range programDirs {
			names = append(names, filepath.Join(d, name))
		}
	}
	for _, n := range names {
		path := filepath.Join(l.tree, n)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, true
		}
	}
	return "", false
}

// wrap returns the command that runs the program at path.
func (l loader) wrap(path string, depth int) ([]string, error) {
	if depth > 3 {
		return nil, errors.New("interpreters of interpreters of interpreters")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	line, err := bufio.NewReader(io.LimitReader(f, 256)).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if rest, ok := bytes.CutPrefix(line, []byte("#!")); ok {
		words := strings.Fields(string(rest))
		if len(words) == 0 {
			return nil, errors.New("script without interpreter")
		}
		interpreter, ok := l.find(words[0])
		if !ok {
			return append(words, path), nil
		}
		wrapped, err := l.wrap(interpreter, depth+1)
		return append(append(wrapped, words[1:]...), path), err
	}
	interpreter, err := interpreterOf(f)
	if err != nil || interpreter == "" {
		return []string{path}, err
	}
	ld, ok := l.find(interpreter)
	if !ok {
		return []string{path}, nil
	}
	libs := make([]string, len(libraryDirs))
	for i, d := range libraryDirs {
		libs[i] = filepath.Join(l.tree, d)
	}
	return []string{ld, "--library-path", strings.Join(libs, ":"), path}, nil
}

// interpreterOf returns the dynamic linker that an ELF program asks for, or
// nothing for a static one.
func interpreterOf(r io.ReaderAt) (string, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return "", fmt.Errorf("not a program for this computer: %w", err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP && p.Filesz < 4096 {
			b := make([]byte, p.Filesz)
			if _, err := p.ReadAt(b, 0); err != nil {
				return "", err
			}
			return string(bytes.TrimRight(b, "\x00")), nil
		}
	}
	return "", nil
}
