package supervisor

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Bounds on what a [Spec] may hold. They keep a faulty or hostile profile
// from making the supervisor large.
const (
	MaxItems    = 1024    // of each kind
	MaxArgs     = 512     // arguments, or variables, of one command
	MaxText     = 1 << 16 // bytes of one argument or variable
	MaxContents = 8 << 20 // bytes of all files and standard inputs together
)

// Defaults for what a [Spec] leaves zero.
const (
	DefaultStopGrace      = 10 * time.Second
	DefaultStepTimeout    = 10 * time.Minute
	DefaultPromiseEvery   = 30 * time.Second
	DefaultPromiseTimeout = 10 * time.Second
	DefaultStartTimeout   = 2 * time.Minute
	DefaultReadyTimeout   = time.Minute
)

// A Spec is what a partition should be. Paths are as the partition sees
// them; those of directories and files lie below its data folder.
type Spec struct {
	// Env holds KEY=VALUE pairs for every process, over those of the walls.
	Env      []string  `cbor:"1,keyasint,omitempty"`
	Dirs     []Dir     `cbor:"2,keyasint,omitempty"`
	Files    []File    `cbor:"3,keyasint,omitempty"`
	Steps    []Step    `cbor:"4,keyasint,omitempty"`
	Services []Service `cbor:"5,keyasint,omitempty"`
	Promises []Promise `cbor:"6,keyasint,omitempty"`

	// StartTimeout is how long services and promises may take to become
	// good before the partition counts as failed; it is tried on all the
	// same. Zero means [DefaultStartTimeout].
	StartTimeout time.Duration `cbor:"7,keyasint,omitempty"`

	Jobs []Job `cbor:"20,keyasint,omitempty"`
}

// A Dir is a directory that must exist.
type Dir struct {
	Path string `cbor:"1,keyasint"`
	Mode uint32 `cbor:"2,keyasint,omitempty"` // permission bits; zero means 0700
}

// A File is written whole and swapped in by rename, only when its content or
// mode differs. A file that a later Spec no longer names is removed.
type File struct {
	Path    string `cbor:"1,keyasint"`
	Mode    uint32 `cbor:"2,keyasint,omitempty"` // permission bits; zero means 0600
	Content []byte `cbor:"3,keyasint,omitempty"`
}

// A Step is run until it has succeeded once. It is remembered by its name and
// revision.
type Step struct {
	Name  string   `cbor:"1,keyasint"`
	Argv  []string `cbor:"2,keyasint"`
	Env   []string `cbor:"3,keyasint,omitempty"`
	Stdin []byte   `cbor:"4,keyasint,omitempty"`

	// After names the service that must be ready first. Steps without it
	// run before any service is started, in the order of the Spec.
	After   string        `cbor:"5,keyasint,omitempty"`
	Timeout time.Duration `cbor:"6,keyasint,omitempty"` // default [DefaultStepTimeout]

	// Revision names the work: a step that succeeded is run again when it
	// changes. Default: a hash of command, environment and input.
	Revision string `cbor:"7,keyasint,omitempty"`
}

// A Service is a process that is kept running.
type Service struct {
	Name string   `cbor:"1,keyasint"`
	Argv []string `cbor:"2,keyasint"`
	Env  []string `cbor:"3,keyasint,omitempty"`

	// Ready says when the service can be used: all must hold. With none it
	// is ready as soon as it runs.
	Ready []Check `cbor:"4,keyasint,omitempty"`

	// ReadyEnv is for the commands in Ready; they do not see Env.
	ReadyEnv []string `cbor:"10,keyasint,omitempty"`

	// ReadyTimeout is how long it may run without being ready before it is
	// killed and started again. Default [DefaultReadyTimeout].
	ReadyTimeout time.Duration `cbor:"7,keyasint,omitempty"`

	StopSignal int           `cbor:"5,keyasint,omitempty"` // default SIGTERM
	StopGrace  time.Duration `cbor:"6,keyasint,omitempty"` // then SIGKILL; default [DefaultStopGrace]

	// After names the services that must be ready before it starts.
	After []string `cbor:"8,keyasint,omitempty"`

	// Revision changes whenever the service has to be started again; who
	// makes the Spec knows which files it reads. Default: a hash of all of the
	// above.
	Revision string `cbor:"9,keyasint,omitempty"`
}

// A Check is one question about the partition; exactly one field is set.
type Check struct {
	Exec []string `cbor:"1,keyasint,omitempty"` // succeeds when it exits with 0
	TCP  string   `cbor:"2,keyasint,omitempty"` // ADDRESS:PORT that accepts
	HTTP string   `cbor:"3,keyasint,omitempty"` // http://ADDRESS:PORT/PATH that answers 2xx or 3xx
}

// A Promise is a check that the partition makes about itself, again and
// again. It is healthy while all of them hold.
type Promise struct {
	Name    string        `cbor:"1,keyasint"`
	Check   Check         `cbor:"2,keyasint"`
	Env     []string      `cbor:"3,keyasint,omitempty"`
	Every   time.Duration `cbor:"4,keyasint,omitempty"` // default [DefaultPromiseEvery]
	Timeout time.Duration `cbor:"5,keyasint,omitempty"` // default [DefaultPromiseTimeout]
}

// Hash identifies the Spec by its content: equal Specs, equal hashes.
func (s Spec) Hash() string { return fingerprint(s) }

// Validate says what is wrong with s for a partition whose data folder is
// root. A Spec that passes can be tried; whether its commands work, only
// running them tells.
func (s Spec) Validate(root string) error {
	if err := s.validateSizes(); err != nil {
		return err
	}
	for _, d := range s.Dirs {
		if err := below(root, d.Path); err != nil {
			return fmt.Errorf("spec: directory %q: %w", d.Path, err)
		}
	}
	for _, f := range s.Files {
		if err := below(root, f.Path); err != nil {
			return fmt.Errorf("spec: file %q: %w", f.Path, err)
		}
	}
	return s.validateNamed()
}

func (s Spec) validateNamed() error {
	names := make(map[string]bool)
	for _, v := range s.Services {
		for _, after := range v.After { // of those before it, so there is no circle
			if !names["service "+after] {
				return fmt.Errorf("spec: service %s: after %q: no such service before it", v.Name, after)
			}
		}
		if err := named(names, "service", v.Name, v.Argv, v.Env); err != nil {
			return err
		}
		for _, c := range v.Ready {
			if err := c.validate(); err != nil {
				return fmt.Errorf("spec: service %s: readiness: %w", v.Name, err)
			}
		}
		if v.StopSignal < 0 || v.StopSignal > 31 {
			return fmt.Errorf("spec: service %s: stop signal %d: unknown", v.Name, v.StopSignal)
		}
	}
	for _, p := range s.Steps {
		if p.After != "" && !names["service "+p.After] {
			return fmt.Errorf("spec: step %s: after %q: no such service", p.Name, p.After)
		}
		if err := named(names, "step", p.Name, p.Argv, p.Env); err != nil {
			return err
		}
	}
	for _, j := range s.Jobs {
		if err := named(names, "job", j.Name, j.Argv, j.Env); err != nil {
			return err
		}
		if err := j.validate(); err != nil {
			return err
		}
	}
	for _, p := range s.Promises {
		if err := p.Check.validate(); err != nil {
			return fmt.Errorf("spec: promise %s: %w", p.Name, err)
		}
		if err := named(names, "promise", p.Name, []string{"-"}, p.Env); err != nil {
			return err
		}
	}
	return nil
}

func (s Spec) validateSizes() error {
	for what, n := range map[string]int{
		"directories": len(s.Dirs), "files": len(s.Files), "steps": len(s.Steps),
		"services": len(s.Services), "promises": len(s.Promises), "jobs": len(s.Jobs), "variables": len(s.Env),
	} {
		if n > MaxItems {
			return fmt.Errorf("spec: %d %s: more than %d", n, what, MaxItems)
		}
	}
	size := 0
	for _, f := range s.Files {
		size += len(f.Content)
	}
	for _, p := range s.Steps {
		size += len(p.Stdin)
	}
	if size > MaxContents {
		return fmt.Errorf("spec: %d bytes of content: more than %d", size, MaxContents)
	}
	return nil
}

func (c Check) validate() error {
	set := 0
	if len(c.Exec) > 0 {
		set++
	}
	if c.TCP != "" {
		set++
	}
	if c.HTTP != "" {
		set++
		if !strings.HasPrefix(c.HTTP, "http://") {
			return fmt.Errorf("check %q: want http://", c.HTTP)
		}
	}
	if set != 1 {
		return errors.New("check: want exactly one of exec, tcp and http")
	}
	return validateArgs(c.Exec)
}

// named checks what services, steps and promises have in common.
func named(names map[string]bool, kind, name string, argv, env []string) error {
	if !validName(name) {
		return fmt.Errorf("spec: %s %q: want a name of letters, digits and .-_, at most 64", kind, name)
	}
	if names[kind+" "+name] {
		return fmt.Errorf("spec: %s %s: named twice", kind, name)
	}
	names[kind+" "+name] = true
	if len(argv) == 0 || argv[0] == "" {
		return fmt.Errorf("spec: %s %s: no command", kind, name)
	}
	for _, list := range [][]string{argv, env} {
		if err := validateArgs(list); err != nil {
			return fmt.Errorf("spec: %s %s: %w", kind, name, err)
		}
	}
	return nil
}

func validateArgs(args []string) error {
	if len(args) > MaxArgs {
		return fmt.Errorf("%d arguments: more than %d", len(args), MaxArgs)
	}
	for _, a := range args {
		if len(a) > MaxText || strings.ContainsRune(a, 0) {
			return errors.New("argument too long, or with a zero byte")
		}
	}
	return nil
}

func validName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, r := range s {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune(".-_", r):
		default:
			return false
		}
	}
	return true
}

// below says whether path is a clean path under root.
func below(root, path string) error {
	if filepath.Clean(path) != path || !strings.HasPrefix(path, strings.TrimSuffix(root, "/")+"/") {
		return fmt.Errorf("not a clean path below %s", root)
	}
	if strings.HasPrefix(path, filepath.Join(root, privateDir)) {
		return fmt.Errorf("%s is the supervisor's own", privateDir)
	}
	return nil
}

// fingerprint hashes the one byte form of v.
func fingerprint(v any) string {
	b, err := encoding.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("supervisor: encode %T: %v", v, err)) // only our own plain structs come here
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}
