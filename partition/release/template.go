package release

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// hole is where a template takes a value: {{ name }}. An empty one, {{}},
// stands for two opening braces.
var hole = regexp.MustCompile(`\{\{([^{}\n]*)\}\}`)

// holeName is what may stand in a hole.
var holeName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// fill returns a template of the bundle with every {{ name }} replaced. All
// names need a value, and all values have to be used.
func (b *Bundle) fill(name string, values map[string]starlark.Value) ([]byte, error) {
	content, ok := b.File(name)
	if !ok {
		return nil, faultf("file: no template %s in the profile", name).expected("one of %s", strings.Join(b.Names(), ", "))
	}
	var out strings.Builder
	text, end, used := string(content), 0, map[string]bool{}
	for _, at := range hole.FindAllStringSubmatchIndex(text, -1) {
		out.WriteString(text[end:at[0]])
		end = at[1]
		key := strings.TrimSpace(text[at[2]:at[3]])
		if key == "" {
			out.WriteString("{{")
			continue
		}
		value, ok := values[key]
		if !ok || !holeName.MatchString(key) {
			return nil, b.at(position(name, text, at[0]), fmt.Sprintf("template: no value for %q", key), valuesHint(key, values))
		}
		used[key] = true
		filled, err := plainText(value)
		if err != nil {
			return nil, faultf("file: template %s: %s: %v", name, key, err)
		}
		out.WriteString(filled)
	}
	out.WriteString(text[end:])
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if !used[key] {
			return nil, faultf("file: template %s does not use %s", name, key).expected("{{ %s }} in it", key)
		}
	}
	return []byte(out.String()), nil
}

func valuesHint(key string, values map[string]starlark.Value) string {
	names := slices.Sorted(maps.Keys(values))
	if near := nearest(key, names); near != "" {
		return "did you mean " + near + "?"
	}
	if len(names) == 0 {
		return "i.file gives this template no values"
	}
	return "i.file gives " + strings.Join(names, ", ")
}

// position returns the place of a byte of a file.
func position(name, text string, offset int) syntax.Position {
	before := text[:offset]
	line := strings.Count(before, "\n") + 1
	col := len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1
	return syntax.MakePosition(&name, int32(line), int32(col))
}

// plainText writes a value as it stands in files and connection parameters.
func plainText(value starlark.Value) (string, error) {
	switch v := value.(type) {
	case starlark.String:
		return string(v), nil
	case starlark.Int:
		return v.String(), nil
	case starlark.Float:
		return formatNumber(float64(v)), nil
	case starlark.Bool:
		if v {
			return "true", nil
		}
		return "false", nil
	}
	return "", fmt.Errorf("got %s, want a string, a number or a bool", value.Type())
}
