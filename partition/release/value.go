package release

import (
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"go.starlark.net/starlark"
)

// opaque is a Starlark value that a profile can only pass on. It is the name
// of its type.
type opaque string

// String is how the language prints the value.
func (o opaque) String() string { return "<" + string(o) + ">" }

// Type names the value in errors.
func (o opaque) Type() string { return string(o) }

// Freeze does nothing: the value never changes.
func (opaque) Freeze() {}

// Truth is true.
func (opaque) Truth() starlark.Bool { return starlark.True }

// Hash refuses: the value is no key.
func (o opaque) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: %s", string(o)) }

// A sourceValue is what debian(…) returns.
type sourceValue struct {
	opaque
	source *Source
}

// A parameterValue is what string(…) and its like return.
type parameterValue struct {
	opaque
	parameter Parameter
}

// finish checks what all kinds of parameters have in common.
func finish(name string, p Parameter, low, high, value starlark.Value) (starlark.Value, error) {
	if p.Title == "" || utf8.RuneCountInString(p.Title) > maxTitle {
		return nil, faultf("%s: title %s", name, show(p.Title)).expected("1 to %d characters, for people", maxTitle)
	}
	var err error
	if p.Minimum, err = readBound(&p, low); err != nil {
		return nil, err
	}
	if p.Maximum, err = readBound(&p, high); err != nil {
		return nil, err
	}
	if p.Minimum != nil && p.Maximum != nil && *p.Minimum > *p.Maximum {
		return nil, faultf("%s: the minimum %s is more than the maximum %s", name, p.bound(*p.Minimum), p.bound(*p.Maximum))
	}
	if value == nil || value == starlark.None {
		return &parameterValue{"parameter", p}, nil
	}
	if p.Required {
		return nil, faultf("%s: required and a default", name).expected("one of them: what has a default need not be given")
	}
	plain, err := fromStarlark(value)
	if err != nil {
		return nil, faultf("%s: default: %v", name, err)
	}
	if p.Default, err = p.convert(plain); err != nil {
		return nil, faultf("%s: default: %v", name, err)
	}
	return &parameterValue{"parameter", p}, nil
}

// readBound reads a minimum or a maximum as a default would be written.
func readBound(p *Parameter, value starlark.Value) (*float64, error) {
	if value == nil || value == starlark.None {
		return nil, nil
	}
	plain, err := fromStarlark(value)
	if err != nil {
		return nil, faultf("%s: bound: %v", p.Kind, err)
	}
	quantity := Parameter{Kind: p.Kind}
	if p.Kind == KindString || p.Kind == KindArray {
		quantity.Kind = KindInteger // a length
	}
	checked, err := quantity.convert(plain)
	if err != nil {
		return nil, faultf("%s: bound: %v", p.Kind, err)
	}
	var out float64
	switch v := checked.(type) {
	case int64:
		out = float64(v)
	case float64:
		out = v
	case time.Duration:
		out = v.Seconds()
	}
	return &out, nil
}

// fromStarlark returns the decoded JSON that a Starlark value would be.
func fromStarlark(value starlark.Value) (any, error) {
	switch v := value.(type) {
	case starlark.String:
		return string(v), nil
	case starlark.Bool:
		return bool(v), nil
	case starlark.Int:
		return json.Number(v.String()), nil
	case starlark.Float:
		return json.Number(formatNumber(float64(v))), nil
	case *starlark.List:
		out := make([]any, 0, v.Len())
		for item := range v.Elements() {
			plain, err := fromStarlark(item)
			if err != nil {
				return nil, err
			}
			out = append(out, plain)
		}
		return out, nil
	}
	return nil, fmt.Errorf("got %s, want a string, a number, a bool or a list", value.Type())
}

// toStarlark returns the Starlark value of a checked parameter. Sizes are in
// bytes, durations in seconds.
func toStarlark(value any) starlark.Value {
	switch v := value.(type) {
	case string:
		return starlark.String(v)
	case bool:
		return starlark.Bool(v)
	case int64:
		return starlark.MakeInt64(v)
	case float64:
		return starlark.Float(v)
	case time.Duration:
		if v%time.Second == 0 {
			return starlark.MakeInt64(int64(v / time.Second))
		}
		return starlark.Float(v.Seconds())
	case []any:
		items := make([]starlark.Value, len(v))
		for n := range v {
			items[n] = toStarlark(v[n])
		}
		list := starlark.NewList(items)
		list.Freeze()
		return list
	}
	return starlark.None
}
