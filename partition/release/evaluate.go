package release

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"path"
	"slices"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// The bounds of a result.
const (
	maxEntries = 1000     // directories, files
	maxContent = 8 << 20  // bytes in all files and inputs
	maxThings  = 128      // of services, steps, promises, published values each
	maxArgv    = 256      // words in a command
	maxWords   = 64 << 10 // bytes in a command and its environment
)

// Evaluate says what an instance should be. An error is an [*Error], when the
// profile is at fault, or a [*ParameterError], when the request is.
func (r *Release) Evaluate(in Input) (Desired, error) {
	if in.Type == "" {
		in.Type = r.Types[0]
	}
	if in.Root == "" {
		in.Root = "/data"
	}
	if !r.HasType(in.Type) {
		return Desired{}, fmt.Errorf("release %s: no type %q: there are %q", r.Name, in.Type, r.Types)
	}
	if !in.Address.IsValid() {
		return Desired{}, errors.New("release " + r.Name + ": evaluate: no address")
	}
	values, err := r.Parameters.CheckParameters(in.Parameters)
	if err != nil {
		return Desired{}, err
	}
	i := newInstance(r, in, values)
	thread := &starlark.Thread{Name: "instance", Print: func(*starlark.Thread, string) {}}
	_, err = bounded(thread, maxSteps, func() (starlark.Value, error) {
		return starlark.Call(thread, r.instance, starlark.Tuple{i}, nil)
	})
	if err != nil {
		return Desired{}, r.bundle.locate(err)
	}
	i.complete()
	i.settle()
	return i.desired, nil
}

// An instance is the i of instance(i). It gathers what the profile says.
type instance struct {
	opaque
	release *Release
	input   Input
	attrs   map[string]starlark.Value
	desired Desired
	names   map[string]bool // taken by services, steps, promises and metrics, with their kind before
	secrets int             // made so far
	content int             // bytes so far
}

// newInstance returns the i for one evaluation.
func newInstance(r *Release, in Input, values map[string]any) *instance {
	i := &instance{opaque: "instance", release: r, input: in, names: map[string]bool{}}
	params := make(starlark.StringDict, len(r.Parameters))
	for n := range r.Parameters {
		params[r.Parameters[n].Name] = toStarlark(values[r.Parameters[n].Name])
	}
	i.attrs = map[string]starlark.Value{
		"type":      starlark.String(in.Type),
		"reference": starlark.String(in.Reference),
		"ip":        starlark.String(in.Address.String()),
		"root":      starlark.String(in.Root),
		"params":    starlarkstruct.FromStringDict(starlark.String("params"), params),
	}
	for name, call := range map[string]builtin{
		"dir": i.dir, "file": i.file, "secret": i.secret, "once": i.once, "service": i.service,
		"promise": i.promise, "metric": i.metric, "publish": i.publish, "address": i.address, "request": i.request, "cron": i.cron,
	} {
		i.attrs[name] = starlark.NewBuiltin("i."+name, call)
	}
	i.desired.Published = map[string]string{}
	i.desired.Ports = map[string]uint16{}
	i.share()
	return i
}

// A builtin is a function of Go that a profile calls.
type builtin = func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error)

// Attr is i.name.
func (i *instance) Attr(name string) (starlark.Value, error) {
	value, ok := i.attrs[name]
	if !ok {
		return nil, nil // the language's own error follows, with a suggestion
	}
	return value, nil
}

// AttrNames lists what i has.
func (i *instance) AttrNames() []string {
	return slices.Sorted(maps.Keys(i.attrs))
}

// claim refuses a second thing of the same kind and name.
func (i *instance) claim(kind, name string) error {
	if !releaseName.MatchString(name) {
		return faultf("%s: name %s", kind, show(name)).expected("small letters, digits and -, a letter first, at most 63")
	}
	if i.names[kind+" "+name] {
		return faultf("%s: %s is there twice", kind, name)
	}
	i.names[kind+" "+name] = true
	return nil
}

// spend counts bytes of the result.
func (i *instance) spend(bytes int) error {
	if i.content += bytes; i.content > maxContent {
		return faultf("the instance has more than %d bytes of files", maxContent)
	}
	return nil
}

// absolute returns a path as the instance sees it.
func (i *instance) absolute(relative string) string { return path.Join(i.input.Root, relative) }

// complete adds what follows from what the profile said: the folders of files
// and folders, and what restarts each service.
func (i *instance) complete() {
	d := &i.desired
	have := map[string]bool{}
	for _, dir := range d.Dirs {
		have[dir.Path] = true
	}
	var parents []Dir
	need := func(name string) {
		for p := path.Dir(name); p != "." && !have[p]; p = path.Dir(p) {
			have[p] = true
			parents = append(parents, Dir{Path: p, Mode: 0o700})
		}
	}
	for _, dir := range d.Dirs {
		need(dir.Path)
	}
	for _, file := range d.Files {
		need(file.Path)
	}
	d.Dirs = append(parents, d.Dirs...)
	slices.SortStableFunc(d.Dirs, func(a, b Dir) int { return depth(a.Path) - depth(b.Path) })
	for n := range d.Services {
		i.revise(&d.Services[n])
	}
}

func depth(name string) int {
	n := 0
	for ; name != "."; name = path.Dir(name) {
		n++
	}
	return n
}

// Address returns the address of a port, as "127.64.0.1:3306".
func (in Input) address(port uint16) string {
	return netip.AddrPortFrom(in.Address, port).String()
}
