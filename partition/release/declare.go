package release

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"
)

// The bounds of a declaration.
const (
	maxSources    = 32
	maxPackages   = 512
	maxParameters = 128
	maxTypes      = 32
	maxTitle      = 200
	maxText       = 4096
	maxPattern    = 512
)

var (
	releaseName   = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)
	versionName   = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+~_-]{0,63}$`)
	parameterName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,62}$`)
)

// declare is release(…): what the profile is.
func (l *loader) declare(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if l.release != nil {
		return nil, faultf("release: called twice")
	}
	if len(args) > 0 {
		return nil, faultf("release: got a value without a name").expected(`name = "…", version = "…", title = "…", …`)
	}
	r := &Release{bundle: l.bundle}
	var sources, types *starlark.List
	var parameters, shared *starlark.Dict
	err := starlark.UnpackArgs(fn.Name(), nil, kwargs, "name", &r.Name, "version", &r.Version, "title?", &r.Title,
		"description?", &r.Description, "sources?", &sources, "parameters?", &parameters, "types?", &types, "shared?", &shared, "egress?", &r.Egress)
	if err != nil {
		return nil, err
	}
	switch {
	case !releaseName.MatchString(r.Name):
		return nil, faultf("release: name %s", show(r.Name)).expected("small letters, digits and -, a letter first, at most 63")
	case !versionName.MatchString(r.Version):
		return nil, faultf("release: version %s", show(r.Version)).expected(`something like "10.11": letters, digits and . + ~ _ -, at most 64`)
	case utf8.RuneCountInString(r.Title) > maxTitle || len(r.Description) > maxText:
		return nil, faultf("release: title or description too long").expected("at most %d characters in a title, %d bytes in a description", maxTitle, maxText)
	}
	if r.Title == "" {
		r.Title = r.Name
	}
	if r.Sources, err = readSources(sources); err != nil {
		return nil, err
	}
	if r.Types, err = readTypes(types); err != nil {
		return nil, err
	}
	if r.Parameters, err = readParameters(parameters); err != nil {
		return nil, err
	}
	if r.Shared, err = readParameters(shared); err != nil {
		return nil, err
	}
	r.Serves = shared != nil
	l.release = r
	return starlark.None, nil
}

func readSources(list *starlark.List) ([]Source, error) {
	if list == nil || list.Len() == 0 {
		return nil, faultf("release: no sources: a release is made of something").expected(`sources = [debian("…")]`)
	}
	if list.Len() > maxSources {
		return nil, faultf("release: %d sources are more than %d", list.Len(), maxSources)
	}
	out := make([]Source, 0, list.Len())
	for n := range list.Len() {
		value, ok := list.Index(n).(sourceValue)
		if !ok {
			return nil, faultf("release: sources: got %s", list.Index(n).Type()).
				expected(`debian("…"), archive(…), oci("…"), golang("…"), npm("…"), git("…") or folder("…")`)
		}
		out = append(out, *value.source)
	}
	return out, nil
}

func readTypes(list *starlark.List) ([]string, error) {
	if list == nil || list.Len() == 0 {
		return []string{"default"}, nil
	}
	names, err := readStrings("release: types", list, maxTypes)
	if err != nil {
		return nil, err
	}
	for n, name := range names {
		if !releaseName.MatchString(name) || slices.Contains(names[:n], name) {
			return nil, faultf("release: types: %s", show(name)).expected("distinct names of small letters, digits and -")
		}
	}
	return names, nil
}

func readParameters(dict *starlark.Dict) (Schema, error) {
	if dict == nil {
		return nil, nil
	}
	if dict.Len() > maxParameters {
		return nil, faultf("release: %d parameters are more than %d", dict.Len(), maxParameters)
	}
	out := make(Schema, 0, dict.Len())
	for _, item := range dict.Items() {
		name, ok := starlark.AsString(item[0])
		if !ok || !parameterName.MatchString(name) {
			return nil, faultf("release: parameters: name %s", item[0]).expected("letters, digits and _, a letter first, at most 63")
		}
		value, ok := item[1].(*parameterValue)
		if !ok {
			return nil, faultf("release: parameters: %s is a %s", name, item[1].Type()).
				expected("string(…), integer(…), number(…), boolean(…), size(…), duration(…), choice(…) or array(…)")
		}
		p := value.parameter
		p.Name = name
		out = append(out, p)
	}
	return out, nil
}

// readStrings returns the strings of a list or tuple.
func readStrings(what string, value starlark.Iterable, most int) ([]string, error) {
	var out []string
	for item := range starlark.Elements(value) {
		text, ok := starlark.AsString(item)
		if !ok {
			return nil, faultf("%s: got %s in the list", what, item.Type()).expected("strings only")
		}
		if len(out) == most {
			return nil, faultf("%s: more than %d", what, most)
		}
		out = append(out, text)
	}
	return out, nil
}

func declareString(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	p := Parameter{Kind: KindString}
	var low, high, value starlark.Value
	err := starlark.UnpackArgs(fn.Name(), args, kwargs, "title", &p.Title, "default?", &value, "required?", &p.Required,
		"pattern?", &p.Pattern, "min_length?", &low, "max_length?", &high, "multiline?", &p.Multiline, "secret?", &p.Secret)
	if err != nil {
		return nil, err
	}
	if p.Pattern != "" {
		if len(p.Pattern) > maxPattern {
			return nil, faultf("string: pattern has more than %d bytes", maxPattern)
		}
		p.pattern, err = regexp.Compile("^(?:" + p.Pattern + ")$")
		if err != nil {
			return nil, faultf("string: pattern: %v", syntaxOf(err)).expected("a regular expression (RE2)")
		}
	}
	return finish(fn.Name(), p, low, high, value)
}

// syntaxOf leaves out what this package has put round a pattern.
func syntaxOf(err error) error {
	return errors.New(strings.NewReplacer("^(?:", "", ")$`", "`").Replace(err.Error()))
}

// declareQuantity makes integer(…), number(…), size(…) and duration(…).
func declareQuantity(kind Kind) func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
	return func(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		p := Parameter{Kind: kind}
		var low, high, value starlark.Value
		err := starlark.UnpackArgs(fn.Name(), args, kwargs, "title", &p.Title, "default?", &value, "required?", &p.Required,
			"minimum?", &low, "maximum?", &high)
		if err != nil {
			return nil, err
		}
		return finish(fn.Name(), p, low, high, value)
	}
}

func declareBoolean(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	p := Parameter{Kind: KindBoolean}
	var value starlark.Value
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "title", &p.Title, "default?", &value, "required?", &p.Required); err != nil {
		return nil, err
	}
	return finish(fn.Name(), p, nil, nil, value)
}

func declareChoice(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	p := Parameter{Kind: KindChoice}
	var choices *starlark.List
	var value starlark.Value
	err := starlark.UnpackArgs(fn.Name(), args, kwargs, "title", &p.Title, "choices", &choices, "default?", &value, "required?", &p.Required)
	if err != nil {
		return nil, err
	}
	if p.Choices, err = readStrings("choice: choices", choices, maxParameters); err != nil {
		return nil, err
	}
	if len(p.Choices) == 0 {
		return nil, faultf("choice: no choices").expected(`choices = ["…", "…"]`)
	}
	return finish(fn.Name(), p, nil, nil, value)
}

func declareArray(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	p := Parameter{Kind: KindArray}
	var items *parameterValue
	var low, high, value starlark.Value
	err := starlark.UnpackArgs(fn.Name(), args, kwargs, "title", &p.Title, "items", &items, "default?", &value,
		"required?", &p.Required, "min_items?", &low, "max_items?", &high)
	if err != nil {
		return nil, err
	}
	if items.parameter.Kind == KindArray {
		return nil, faultf("array: items are arrays").expected("items of another kind")
	}
	p.Items = &items.parameter
	return finish(fn.Name(), p, low, high, value)
}
