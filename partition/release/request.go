package release

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.starlark.net/starlark"
)

// The bounds of what an instance requests.
const (
	maxRequests   = 32
	maxFilter     = 16
	maxReleaseRef = 200
)

// A Request asks for another instance, a child of the one that is evaluated.
// It is asked again at each evaluation, which changes nothing if nothing
// changed.
type Request struct {
	Release    string // its name, with "@version" if one is meant
	Reference  string // what the instance calls it; unique within the instance
	Type       string `cbor:",omitempty"` // empty: the release's first
	Parameters map[string]json.RawMessage
	Filter     map[string]string `cbor:",omitempty"` // which computers will do
	Shared     bool              `cbor:",omitempty"` // a place inside another instance
}

// A Child is what became of a request.
type Child struct {
	// Published are its connection parameters; nil before it was started.
	Published map[string]string
}

var (
	childName      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)
	releaseRefName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}(@[0-9A-Za-z][0-9A-Za-z.+~_-]{0,63})?$|^sha256:[0-9a-f]{64}$`)
)

// request is i.request(release, name, params=, type=, filter=, shared=): an
// instance that this one needs. Its connection parameters are attributes of
// what is returned, None until it has published them.
func (i *instance) request(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var r Request
	var params, filter *starlark.Dict
	err := starlark.UnpackArgs(fn.Name(), args, kwargs, "release", &r.Release, "name", &r.Reference,
		"params?", &params, "type?", &r.Type, "filter?", &filter, "shared?", &r.Shared)
	if err != nil {
		return nil, err
	}
	switch {
	case len(r.Release) > maxReleaseRef || !releaseRefName.MatchString(r.Release):
		return nil, faultf("request: release %s", show(r.Release)).expected(`the name of a release, such as "mariadb" or "mariadb@10.11"`)
	case !childName.MatchString(r.Reference):
		return nil, faultf("request: name %s", show(r.Reference)).expected("letters, digits and . _ -, at most 63")
	case i.names["request "+r.Reference]:
		return nil, faultf("request: %s is there twice", r.Reference)
	case r.Type != "" && !releaseName.MatchString(r.Type):
		return nil, faultf("request: %s: type %s", r.Reference, show(r.Type)).expected("small letters, digits and -")
	case len(i.desired.Requests) == maxRequests:
		return nil, faultf("request: more than %d", maxRequests)
	}
	i.names["request "+r.Reference] = true
	if r.Parameters, err = i.readParams(r.Reference, params); err != nil {
		return nil, err
	}
	if r.Filter, err = i.readFilter(r.Reference, filter); err != nil {
		return nil, err
	}
	i.desired.Requests = append(i.desired.Requests, r)
	return &childValue{"requested instance", r.Reference, i.input.Children[r.Reference].Published}, nil
}

// readParams reads the parameters of a request.
func (i *instance) readParams(what string, dict *starlark.Dict) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	if dict == nil {
		return out, nil
	}
	if dict.Len() > maxParameters {
		return nil, faultf("request: %s: more than %d parameters", what, maxParameters)
	}
	for _, item := range dict.Items() {
		name, ok := starlark.AsString(item[0])
		if !ok || !parameterName.MatchString(name) {
			return nil, faultf("request: %s: parameter %s", what, item[0]).expected("letters, digits and _, a letter first, at most 63")
		}
		plain, err := fromStarlark(item[1])
		if err != nil {
			return nil, faultf("request: %s: parameter %s: %v", what, name, err)
		}
		encoded, err := json.Marshal(plain)
		if err != nil {
			return nil, faultf("request: %s: parameter %s: %v", what, name, err)
		}
		if err := i.spend(len(encoded)); err != nil {
			return nil, err
		}
		out[name] = encoded
	}
	return out, nil
}

// readFilter reads what a request demands of a computer.
func (i *instance) readFilter(what string, dict *starlark.Dict) (map[string]string, error) {
	if dict == nil || dict.Len() == 0 {
		return nil, nil
	}
	if dict.Len() > maxFilter {
		return nil, faultf("request: %s: filter: more than %d conditions", what, maxFilter)
	}
	out := make(map[string]string, dict.Len())
	for _, item := range dict.Items() {
		name, ok := starlark.AsString(item[0])
		value, text := starlark.AsString(item[1])
		if !ok || !text || len(name) > 64 || len(value) > 256 {
			return nil, faultf("request: %s: filter %s = %s", what, item[0], item[1]).expected(`strings, as in {"country": "FR"}`)
		}
		out[name] = value
	}
	return out, nil
}

// A childValue is what i.request returns.
type childValue struct {
	opaque
	name      string
	published map[string]string // nil before it has published
}

// Attr is child.key: a connection parameter. Before the child has published,
// it is None.
func (c *childValue) Attr(name string) (starlark.Value, error) {
	if name == "name" {
		return starlark.String(c.name), nil
	}
	value, ok := c.published[name]
	switch {
	case ok:
		return starlark.String(value), nil
	case c.published == nil:
		return starlark.None, nil
	}
	return nil, faultf("request: %s publishes no %s", c.name, show(name)).expected("one of %s", strings.Join(c.AttrNames(), ", "))
}

// AttrNames lists what is known of the child.
func (c *childValue) AttrNames() []string {
	return append(slices.Sorted(maps.Keys(c.published)), "name")
}

// Truth tells whether the child has published.
func (c *childValue) Truth() starlark.Bool { return c.published != nil }
