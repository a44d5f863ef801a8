package release

import (
	"fmt"
	"maps"
	"net/url"
	"strings"
	"time"

	"go.starlark.net/lib/json"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// The bounds of loading and of each evaluation. Steps are counted alike on
// every computer; the time is only for what a single step can take.
const (
	maxSteps = 1_000_000
	maxTime  = 5 * time.Second
)

// dialect is Starlark as it comes: no recursion and no while, so that every
// loop is over something finite.
var dialect = &syntax.FileOptions{Set: true}

// Load reads a profile. An error is an [*Error].
func Load(b *Bundle) (*Release, error) {
	l := &loader{bundle: b, modules: map[string]*module{}}
	globals, err := l.run(Main)
	if err != nil {
		return nil, b.locate(err)
	}
	if l.release == nil {
		return nil, &Error{File: Main, Message: "release(…) is never called", Hint: `expected release(name = "…", version = "…", title = "…", sources = […], parameters = {…})`}
	}
	instance, ok := globals["instance"].(*starlark.Function)
	if !ok {
		return nil, &Error{File: Main, Message: "there is no function instance", Hint: "expected def instance(i): … that says what an instance should be"}
	}
	if instance.NumParams() != 1 || instance.HasVarargs() || instance.HasKwargs() || instance.NumKwonlyParams() > 0 {
		return nil, b.at(instance.Position(), "instance takes the wrong parameters", "expected def instance(i):")
	}
	l.release.instance = instance
	return l.release, nil
}

// A loader runs the files of a bundle, each once.
type loader struct {
	bundle  *Bundle
	modules map[string]*module
	steps   uint64
	release *Release // set by release(…)
}

// A module is a file that was run, or that is being run.
type module struct {
	globals starlark.StringDict
	done    bool
}

// run runs a file of the bundle and returns its globals, frozen.
func (l *loader) run(name string) (starlark.StringDict, error) {
	content, ok := l.bundle.File(name)
	if !ok {
		return nil, faultf("load: no file %s in the profile", name).expected("one of %s", strings.Join(l.bundle.Names(), ", "))
	}
	if m, ok := l.modules[name]; ok {
		if !m.done {
			return nil, faultf("load: %s loads itself", name)
		}
		return m.globals, nil
	}
	m := &module{}
	l.modules[name] = m
	thread := &starlark.Thread{
		Name:  name,
		Print: func(*starlark.Thread, string) {},
		Load: func(_ *starlark.Thread, name string) (starlark.StringDict, error) {
			globals, err := l.run(name)
			if err != nil {
				return nil, l.bundle.keepPlace(err)
			}
			return globals, nil
		},
	}
	globals, err := bounded(thread, maxSteps-l.steps, func() (starlark.StringDict, error) {
		return starlark.ExecFileOptions(dialect, thread, name, content, l.predeclared())
	})
	l.steps = min(maxSteps-1, l.steps+thread.ExecutionSteps())
	if err != nil {
		return nil, err
	}
	globals.Freeze()
	m.globals, m.done = globals, true
	return globals, nil
}

// keepPlace locates an error that has a place of its own, so that the error
// of a loaded file is not taken for one of its loader.
func (b *Bundle) keepPlace(err error) error {
	if located, ok := b.locate(err).(*Error); ok && located.Line > 0 { //nolint:errorlint // locate returns it bare
		return located
	}
	return err
}

// bounded runs f on thread and stops it after so many steps or maxTime.
func bounded[T any](thread *starlark.Thread, steps uint64, f func() (T, error)) (T, error) {
	thread.SetMaxExecutionSteps(steps)
	timer := time.AfterFunc(maxTime, func() { thread.Cancel(fmt.Sprintf("took longer than %v", maxTime)) })
	defer timer.Stop()
	return f()
}

// predeclared are the names that a profile finds.
func (l *loader) predeclared() starlark.StringDict {
	names := maps.Clone(library)
	names["release"] = starlark.NewBuiltin("release", l.declare)
	names["folder"] = starlark.NewBuiltin("folder", l.declareFolder)
	names["golang"] = starlark.NewBuiltin("golang", l.declareGolang)
	names["npm"] = starlark.NewBuiltin("npm", l.declareNPM)
	return names
}

// library is the part of the language that has no state.
var library = starlark.StringDict{
	"KiB":       starlark.MakeInt64(1 << 10),
	"MiB":       starlark.MakeInt64(1 << 20),
	"GiB":       starlark.MakeInt64(1 << 30),
	"archive":   starlark.NewBuiltin("archive", declareArchive),
	"array":     starlark.NewBuiltin("array", declareArray),
	"boolean":   starlark.NewBuiltin("boolean", declareBoolean),
	"choice":    starlark.NewBuiltin("choice", declareChoice),
	"debian":    starlark.NewBuiltin("debian", declareDebian),
	"duration":  starlark.NewBuiltin("duration", declareQuantity(KindDuration)),
	"git":       starlark.NewBuiltin("git", declareGit),
	"integer":   starlark.NewBuiltin("integer", declareQuantity(KindInteger)),
	"json":      json.Module,
	"number":    starlark.NewBuiltin("number", declareQuantity(KindNumber)),
	"oci":       starlark.NewBuiltin("oci", declareOCI),
	"quote_url": starlark.NewBuiltin("quote_url", quoteURL),
	"size":      starlark.NewBuiltin("size", declareQuantity(KindSize)),
	"string":    starlark.NewBuiltin("string", declareString),
}

// builtinNames are the names that this package adds to the language.
func builtinNames() []string {
	return []string{
		"GiB", "KiB", "MiB", "archive", "array", "boolean", "choice", "debian", "duration", "folder", "git", "golang",
		"integer", "json", "npm", "number", "oci", "quote_url", "release", "size", "string",
	}
}

// quoteURL escapes a string for use as the user, the password, the host's
// path or a query value of a URL.
func quoteURL(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var text string
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "text", &text); err != nil {
		return nil, err
	}
	return starlark.String(strings.ReplaceAll(url.QueryEscape(text), "+", "%20")), nil
}
