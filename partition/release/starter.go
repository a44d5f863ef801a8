package release

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

//go:embed starter
var starter embed.FS

// Starter writes a small, complete profile to begin from, and returns the
// names of its files. The folder must not hold anything yet; what it is called is
// what the release is called.
func Starter(folder string) ([]string, error) {
	name := filepath.Base(folder)
	if !releaseName.MatchString(name) {
		return nil, fmt.Errorf("a release is called as its folder, and %s is no name: small letters, digits and -, a letter first, at most 63", show(name))
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	there, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	if len(there) > 0 {
		return nil, fmt.Errorf("%s is not empty: there is %s", folder, there[0].Name())
	}
	files, err := fs.ReadDir(starter, "starter")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range files {
		content, err := starter.ReadFile("starter/" + f.Name())
		if err != nil {
			return nil, err
		}
		content = bytes.ReplaceAll(content, []byte("NAME"), []byte(name))
		if err := os.WriteFile(filepath.Join(folder, f.Name()), content, 0o644); err != nil {
			return nil, err
		}
		names = append(names, f.Name())
	}
	return names, nil
}

// LoadPath reads the profile in a folder, or the folder of a file called
// release.star. An error about what is in it is an [*Error].
func LoadPath(path string) (*Bundle, *Release, error) {
	if filepath.Base(path) == Main {
		path = filepath.Dir(path)
	} else if strings.HasSuffix(path, ".star") {
		return nil, nil, fmt.Errorf("%s: the profile of a release is called %s", path, Main)
	}
	b, err := LoadDir(os.DirFS(path))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	r, err := Load(b)
	return b, r, err
}
