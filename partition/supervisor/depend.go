package supervisor

import (
	"path"
	"slices"
	"strings"
)

// prints returns the fingerprint of each service by name: it differs exactly
// when the service must be restarted. A service rests on its own definition,
// on the common environment, and on the files it mentions: those whose path,
// or a directory above it, appears in its command or environment, or in a
// file that it mentions. A file that nobody mentions is taken to matter to
// all, for a needless restart is better than a stale one.
func prints(s Spec, root string) map[string]string {
	mentioned := make([]bool, len(s.Files))
	uses := make(map[string][]int, len(s.Services))
	for _, v := range s.Services {
		text := strings.Join(slices.Concat(v.Argv, v.Env), "\x00")
		used := mentions(s, root, text)
		uses[v.Name] = used
		for _, i := range used {
			mentioned[i] = true
		}
	}
	for _, p := range s.Steps { // a step's input is not every service's
		for _, i := range mentions(s, root, strings.Join(p.Argv, "\x00")+"\x00"+string(p.Stdin)) {
			mentioned[i] = true
		}
	}
	result := make(map[string]string, len(s.Services))
	for _, v := range s.Services {
		rests := []any{v, s.Env}
		for i, f := range s.Files {
			if !mentioned[i] || slices.Contains(uses[v.Name], i) {
				rests = append(rests, f)
			}
		}
		result[v.Name] = fingerprint(rests)
	}
	return result
}

// mentions returns the indexes of the files that text leads to.
func mentions(s Spec, root, text string) []int {
	var found []int
	texts := []string{text}
	for len(texts) > 0 {
		text, texts = texts[0], texts[1:]
		for i, f := range s.Files {
			if slices.Contains(found, i) || !names(text, f.Path, root) {
				continue
			}
			found = append(found, i)
			texts = append(texts, string(f.Content))
		}
	}
	return found
}

// names says whether text holds the file's path or a directory above it,
// below root, as a whole path element.
func names(text, file, root string) bool {
	for p := file; len(p) > len(root) && p != "/"; p = path.Dir(p) {
		for rest := text; ; {
			at := strings.Index(rest, p)
			if at < 0 {
				break
			}
			rest = rest[at+len(p):]
			// The directory itself leads to all in it, but the path of a
			// neighbouring file does not.
			if rest == "" || !strings.ContainsRune("/._-", rune(rest[0])) && !alphanumeric(rest[0]) {
				return true
			}
		}
	}
	return false
}

func alphanumeric(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
}
