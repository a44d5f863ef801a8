package release

import (
	"bytes"
	"maps"
	"slices"
)

// revise fills in what a service reads and, from it, its revision.
func (i *instance) revise(s *Service) {
	texts := make([][]byte, 0, len(s.Argv)+len(s.Env))
	for _, word := range s.Argv {
		texts = append(texts, []byte(word))
	}
	for _, key := range slices.Sorted(maps.Keys(s.Env)) {
		texts = append(texts, []byte(s.Env[key]))
	}
	used := make([]bool, len(i.desired.Files))
	for len(texts) > 0 { // what is named, then what that names
		text := texts[0]
		texts = texts[1:]
		for n := range i.desired.Files {
			f := &i.desired.Files[n]
			if !used[n] && names(text, i.absolute(f.Path)) {
				used[n] = true
				texts = append(texts, f.Content)
			}
		}
	}
	read := []File{}
	for n := range used {
		if used[n] {
			read = append(read, i.desired.Files[n])
			s.Uses = append(s.Uses, i.desired.Files[n].Path)
		}
	}
	s.Revision = digestOf([]any{s.Name, s.Argv, s.Env, s.Ports, read})
}

// names tells whether text has the path in it, and not only the path of
// something that begins alike.
func names(text []byte, path string) bool {
	for {
		at := bytes.Index(text, []byte(path))
		if at < 0 {
			return false
		}
		text = text[at+len(path):]
		if len(text) == 0 || !partOfName(text[0]) {
			return true
		}
	}
}

func partOfName(c byte) bool {
	return c == '-' || c == '_' || c == '.' || c == '/' ||
		'0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= 0x80
}
