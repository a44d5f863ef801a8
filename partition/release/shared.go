package release

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// A Shared is what a profile may know of a shared instance: a place inside the
// instance that is evaluated, its host.
type Shared struct {
	ID         uint64 // numbers instances of the mesh; never used again
	Reference  string // the name that its requester gave it
	Parameters map[string]json.RawMessage
	Started    bool // or else stopped: nobody gets in, and what it holds stays
}

// A Served is what became of a shared instance.
type Served struct {
	Published map[string]string // the connection parameters
	Fault     string            // why it is not served; empty if it is
}

// sharedKey names the secret of which those of all shared instances are made,
// so that a thousand of them take no room. No profile can ask for it.
const sharedKey = "shared/instances"

// sharedName is what a shared instance is called inside its host: a database,
// a user. No parameter of letters, digits and _ can be that.
func sharedName(id uint64) string { return fmt.Sprintf("shared-%d", id) }

// share gives i its shared instances, and those that are gone. One whose
// parameters are wrong is left out: that is its requester's fault, and no
// other's loss.
func (i *instance) share() {
	if !i.release.Serves {
		return
	}
	i.desired.Shared = make(map[uint64]Served, len(i.input.Shared))
	var served []starlark.Value
	for _, s := range i.input.Shared {
		values, err := i.release.Shared.CheckParameters(s.Parameters)
		if err != nil {
			i.desired.Shared[s.ID] = Served{Fault: err.Error()}
			continue
		}
		served = append(served, i.newShared(s, values))
	}
	gone := make([]starlark.Value, len(i.input.Gone))
	for n, id := range i.input.Gone {
		gone[n] = starlark.String(sharedName(id))
	}
	i.attrs["shared"], i.attrs["gone"] = frozen(served), frozen(gone)
}

func frozen(items []starlark.Value) *starlark.List {
	list := starlark.NewList(items)
	list.Freeze()
	return list
}

// settle says of the shared instances of which the profile said nothing that
// they are not served.
func (i *instance) settle() {
	for _, s := range i.input.Shared {
		if _, ok := i.desired.Shared[s.ID]; !ok && i.release.Serves {
			i.desired.Shared[s.ID] = Served{Fault: "the profile published nothing for it"}
		}
	}
}

// A sharedValue is one item of i.shared.
type sharedValue struct {
	opaque
	attrs starlark.StringDict
}

func (i *instance) newShared(s Shared, values map[string]any) *sharedValue {
	params := make(starlark.StringDict, len(values))
	for n := range i.release.Shared {
		params[i.release.Shared[n].Name] = toStarlark(values[i.release.Shared[n].Name])
	}
	return &sharedValue{"shared instance", starlark.StringDict{
		"name":      starlark.String(sharedName(s.ID)),
		"reference": starlark.String(s.Reference),
		"started":   starlark.Bool(s.Started),
		"params":    starlarkstruct.FromStringDict(starlark.String("params"), params),
		"secret": starlark.NewBuiltin("shared.secret", func(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			name := "password"
			if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "name?", &name); err != nil {
				return nil, err
			}
			return i.sharedSecret(s.ID, name)
		}),
		"publish": starlark.NewBuiltin("shared.publish", func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			served := i.desired.Shared[s.ID]
			if served.Published == nil {
				served.Published = make(map[string]string, len(kwargs))
			}
			i.desired.Shared[s.ID] = served
			return starlark.None, i.publishTo(served.Published, args, kwargs)
		}),
	}}
}

// sharedSecret makes a secret of a shared instance: letters and digits, 130
// bits, always the same for the same name, and no help in guessing another.
func (i *instance) sharedSecret(id uint64, name string) (starlark.Value, error) {
	if !releaseName.MatchString(name) {
		return nil, faultf("secret: name %s", show(name)).expected("small letters, digits and -, a letter first, at most 63")
	}
	key := ""
	if i.input.Secret != nil {
		key = i.input.Secret(sharedKey)
	}
	if key == "" {
		return nil, faultf("secret: %s: no secrets are to be had here", name)
	}
	mac := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(mac, "%d %s", id, name)
	return starlark.String(base32.StdEncoding.EncodeToString(mac.Sum(nil))[:26]), nil
}

// Attr is shared.name.
func (s *sharedValue) Attr(name string) (starlark.Value, error) {
	value, ok := s.attrs[name]
	if !ok {
		return nil, nil // the language's own error follows, with a suggestion
	}
	return value, nil
}

// AttrNames lists what a shared instance has.
func (s *sharedValue) AttrNames() []string { return s.attrs.Keys() }
