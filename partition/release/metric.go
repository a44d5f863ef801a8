package release

import (
	"time"

	"go.starlark.net/starlark"
)

// MaxMetrics is how many metrics an instance may have: a usage report takes
// no more.
const MaxMetrics = 16

// The defaults and bounds of asking for metrics: whoever asks all too often
// would be billed for the asking.
const (
	metricEvery   = time.Minute
	metricTimeout = 5 * time.Second
)

// A Metric is a number that the instance keeps of itself and that only grows,
// such as how many requests it has answered. A price may be set on it.
type Metric struct {
	Name    string
	Exec    []string          // prints the number, and exits with 0
	Env     map[string]string // added to the command's
	Every   time.Duration
	Timeout time.Duration
}

// metric is i.metric(name, exec, …): what is counted of the instance.
func (i *instance) metric(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var m Metric
	var argv starlark.Iterable
	var env *starlark.Dict
	var every, timeout starlark.Value
	err := starlark.UnpackArgs(fn.Name(), args, kwargs, "name", &m.Name, "exec", &argv, "env?", &env, "every?", &every, "timeout?", &timeout)
	if err != nil {
		return nil, err
	}
	what := "metric: " + m.Name
	if err := i.claim("metric", m.Name); err != nil {
		return nil, err
	}
	if len(i.desired.Metrics) >= MaxMetrics {
		return nil, faultf("metric: more than %d", MaxMetrics)
	}
	if m.Exec, err = i.readArgv(what, argv); err != nil {
		return nil, err
	}
	if m.Env, err = i.readEnv(what, env); err != nil {
		return nil, err
	}
	if m.Every, err = readTime(what+": every", every, metricEvery, 10*time.Second, 24*time.Hour); err != nil {
		return nil, err
	}
	if m.Timeout, err = readTime(what+": timeout", timeout, metricTimeout, 100*time.Millisecond, time.Minute); err != nil {
		return nil, err
	}
	i.desired.Metrics = append(i.desired.Metrics, m)
	return starlark.None, nil
}
