package release

import (
	"time"

	"github.com/robfig/cron/v3"
	"go.starlark.net/starlark"
)

// jobTimeout is how long a job may take unless the profile says otherwise.
const jobTimeout = time.Hour

// A Job is a command that is run at certain times while the instance is
// started.
type Job struct {
	Name     string
	Argv     []string
	Env      map[string]string
	Schedule string // five fields of cron, or @hourly and the like, in UTC
	Timeout  time.Duration
}

// cron is i.cron(name, argv, schedule, …): a command that is run at certain
// times.
func (i *instance) cron(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var j Job
	var argv starlark.Iterable
	var env *starlark.Dict
	var timeout starlark.Value
	err := starlark.UnpackArgs(fn.Name(), args, kwargs, "name", &j.Name, "argv", &argv, "schedule", &j.Schedule, "env?", &env, "timeout?", &timeout)
	if err != nil {
		return nil, err
	}
	what := "cron: " + j.Name
	if err := i.claim("cron", j.Name); err != nil {
		return nil, err
	}
	if len(i.desired.Jobs) >= maxThings {
		return nil, faultf("cron: more than %d", maxThings)
	}
	if !soundSchedule(j.Schedule) {
		return nil, faultf("%s: schedule %s", what, show(j.Schedule)).expected(`five fields, as in "30 3 * * *", or @hourly, @daily, @weekly, @monthly, "@every 10m"; in UTC`)
	}
	if j.Argv, err = i.readArgv(what, argv); err != nil {
		return nil, err
	}
	if j.Env, err = i.readEnv(what, env); err != nil {
		return nil, err
	}
	if j.Timeout, err = readTime(what+": timeout", timeout, jobTimeout, time.Second, 24*time.Hour); err != nil {
		return nil, err
	}
	i.desired.Jobs = append(i.desired.Jobs, j)
	return starlark.None, nil
}

// soundSchedule tells whether a schedule can be read, names no time zone, and
// ever comes.
func soundSchedule(text string) bool {
	if len(text) > 100 || len(text) > 2 && text[:2] == "TZ" || len(text) > 4 && text[:4] == "CRON" {
		return false
	}
	s, err := cron.ParseStandard(text)
	return err == nil && !s.Next(time.Unix(0, 0).UTC()).IsZero()
}
