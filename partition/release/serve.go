package release

import (
	"net"
	"slices"
	"strings"
	"time"

	"go.starlark.net/starlark"
)

// The defaults and bounds of times.
const (
	stopGrace      = 10 * time.Second
	readyTimeout   = time.Minute
	promiseEvery   = 30 * time.Second
	promiseTimeout = 10 * time.Second
)

// stopSignals are those that may ask a service to end.
var stopSignals = []string{"SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH"}

// service is i.service(name, argv, …): a process that always runs.
func (i *instance) service(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	s := Service{StopSignal: "SIGTERM"}
	var argv starlark.Iterable
	var ports, env, readyEnv *starlark.Dict
	var after, ready, timeout, grace starlark.Value
	err := starlark.UnpackArgs(fn.Name(), args, kwargs, "name", &s.Name, "argv", &argv, "ports?", &ports, "env?", &env,
		"after?", &after, "ready?", &ready, "ready_env?", &readyEnv, "ready_timeout?", &timeout, "stop_signal?", &s.StopSignal, "stop_grace?", &grace)
	if err != nil {
		return nil, err
	}
	what := "service: " + s.Name
	if err := i.claim("service", s.Name); err != nil {
		return nil, err
	}
	if len(i.desired.Services) >= maxThings {
		return nil, faultf("service: more than %d", maxThings)
	}
	if !slices.Contains(stopSignals, s.StopSignal) {
		return nil, faultf("%s: stop_signal %s", what, show(s.StopSignal)).expected("one of %s", strings.Join(stopSignals, ", "))
	}
	if s.Argv, err = i.readArgv(what, argv); err != nil {
		return nil, err
	}
	if s.Env, err = i.readEnv(what, env); err != nil {
		return nil, err
	}
	if s.After, err = i.readAfter(what, after); err != nil {
		return nil, err
	}
	if s.StopGrace, err = readTime(what+": stop_grace", grace, stopGrace, 0, time.Hour); err != nil {
		return nil, err
	}
	if s.Ports, s.UDP, err = i.readPorts(s.Name, ports); err != nil {
		return nil, err
	}
	if s.Readiness, err = i.readReadiness(what, ready, readyEnv, timeout); err != nil {
		return nil, err
	}
	i.desired.Services = append(i.desired.Services, s)
	return &serviceValue{"service", s.Name}, nil
}

// A serviceValue is what i.service returns; after= takes it.
type serviceValue struct {
	opaque
	name string
}

// readPorts reads ports= of a service, and returns them by name, and which are
// of UDP.
func (i *instance) readPorts(service string, dict *starlark.Dict) (out map[string]uint16, udp []string, err error) {
	if dict == nil || dict.Len() == 0 {
		return nil, nil, nil
	}
	out = make(map[string]uint16, dict.Len())
	for _, item := range dict.Items() {
		name, number, datagrams, err := readPort(service, item)
		if err != nil {
			return nil, nil, err
		}
		if _, ok := i.desired.Ports[name]; ok {
			return nil, nil, faultf("service: %s: ports: %s is there twice", service, name)
		}
		for other, taken := range i.desired.Ports {
			if taken == number && slices.Contains(i.desired.UDP, other) == datagrams {
				return nil, nil, faultf("service: %s: ports: %s and %s are both %d", service, min(name, other), max(name, other), number)
			}
		}
		if len(i.desired.Ports) >= maxThings {
			return nil, nil, faultf("service: %s: ports: more than %d", service, maxThings)
		}
		out[name], i.desired.Ports[name] = number, number
		if datagrams {
			udp, i.desired.UDP = append(udp, name), append(i.desired.UDP, name)
		}
	}
	slices.Sort(udp)
	slices.Sort(i.desired.UDP)
	return out, udp, nil
}

// readAfter reads one service or a list of them: what i.service returned, or
// names.
func (i *instance) readAfter(what string, value starlark.Value) ([]string, error) {
	var list []starlark.Value
	switch v := value.(type) {
	case nil, starlark.NoneType:
		return nil, nil
	case *starlark.List:
		for item := range v.Elements() {
			list = append(list, item)
		}
	default:
		list = append(list, v)
	}
	var out []string
	for _, item := range list {
		name, ok := starlark.AsString(item)
		if service, is := item.(*serviceValue); is {
			name, ok = service.name, true
		}
		if !ok || !i.names["service "+name] {
			return nil, faultf("%s: after %s", what, item).expected("a service made before: %s", quoteList(i.serviceNames()))
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out, nil
}

func (i *instance) serviceNames() []string {
	names := make([]string, len(i.desired.Services))
	for n := range i.desired.Services {
		names[n] = i.desired.Services[n].Name
	}
	return names
}

// readReadiness reads ready= of a service: a command, or the name of a port.
func (i *instance) readReadiness(what string, ready starlark.Value, env *starlark.Dict, timeout starlark.Value) (*Readiness, error) {
	limit, err := readTime(what+": ready_timeout", timeout, readyTimeout, time.Second, time.Hour)
	if err != nil {
		return nil, err
	}
	var probe Probe
	switch v := ready.(type) {
	case nil, starlark.NoneType:
		if timeout == nil || timeout == starlark.None {
			return nil, nil
		}
		return nil, faultf("%s: ready_timeout without ready", what)
	case starlark.String:
		probe.TCP, err = i.readTarget(what+": ready", string(v))
	case *starlark.List:
		probe.Exec, err = i.readArgv(what+": ready", v)
	default:
		return nil, faultf("%s: ready is a %s", what, ready.Type()).expected("a command (a list) or the name of a port")
	}
	if err != nil {
		return nil, err
	}
	if probe.Env, err = i.readEnv(what+": ready", env); err != nil {
		return nil, err
	}
	return &Readiness{Probe: probe, Timeout: limit}, nil
}

// readTarget returns the address of a port by name, or checks host:port.
func (i *instance) readTarget(what, target string) (string, error) {
	if number, ok := i.desired.Ports[target]; ok {
		if slices.Contains(i.desired.UDP, target) {
			return "", faultf("%s: %s is a port of UDP, to which nothing can connect", what, target).expected("a command that asks it: exec = […]")
		}
		return i.input.address(number), nil
	}
	if _, _, err := net.SplitHostPort(target); err != nil {
		return "", faultf("%s: %s", what, show(target)).expected("host:port, or a port of a service: %s", i.portNames())
	}
	return target, i.checkWords(what, target)
}

// once is i.once(name, argv, …): a command that has to succeed once.
func (i *instance) once(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var s Step
	var argv starlark.Iterable
	var env *starlark.Dict
	var after starlark.Value
	var input, key string
	err := starlark.UnpackArgs(fn.Name(), args, kwargs, "name", &s.Name, "argv", &argv, "input?", &input,
		"env?", &env, "after?", &after, "key?", &key)
	if err != nil {
		return nil, err
	}
	what := "once: " + s.Name
	if err := i.claim("once", s.Name); err != nil {
		return nil, err
	}
	if len(i.desired.Once) >= maxThings {
		return nil, faultf("once: more than %d", maxThings)
	}
	if s.Argv, err = i.readArgv(what, argv); err != nil {
		return nil, err
	}
	if s.Env, err = i.readEnv(what, env); err != nil {
		return nil, err
	}
	if err := i.spend(len(input)); err != nil {
		return nil, err
	}
	if input != "" {
		s.Stdin = []byte(input)
	}
	services, err := i.readAfter(what, after)
	switch {
	case err != nil:
		return nil, err
	case len(services) > 1:
		return nil, faultf("%s: after several services", what).expected("one")
	case len(services) == 1:
		s.After = services[0]
	}
	s.Revision = digestOf(s)
	if key != "" {
		s.Revision = digestOf([]string{s.Name, key})
	}
	i.desired.Once = append(i.desired.Once, s)
	return starlark.None, nil
}

// promise is i.promise(name, exec=|tcp=|http=, …): a check of the instance.
func (i *instance) promise(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var p Promise
	var argv starlark.Iterable
	var tcp string
	var env *starlark.Dict
	var every, timeout starlark.Value
	err := starlark.UnpackArgs(fn.Name(), args, kwargs, "name", &p.Name, "exec?", &argv, "tcp?", &tcp, "http?", &p.Probe.HTTP,
		"env?", &env, "every?", &every, "timeout?", &timeout)
	if err != nil {
		return nil, err
	}
	what := "promise: " + p.Name
	if err := i.claim("promise", p.Name); err != nil {
		return nil, err
	}
	if len(i.desired.Promises) >= maxThings {
		return nil, faultf("promise: more than %d", maxThings)
	}
	kinds := 0
	if argv != nil {
		kinds++
		if p.Probe.Exec, err = i.readArgv(what, argv); err != nil {
			return nil, err
		}
	}
	if tcp != "" {
		kinds++
		if p.Probe.TCP, err = i.readTarget(what+": tcp", tcp); err != nil {
			return nil, err
		}
	}
	if p.Probe.HTTP != "" {
		kinds++
		if !strings.HasPrefix(p.Probe.HTTP, "http://") && !strings.HasPrefix(p.Probe.HTTP, "https://") {
			return nil, faultf("%s: http: %s", what, show(p.Probe.HTTP)).expected("a URL that begins with http:// or https://")
		}
	}
	if kinds != 1 {
		return nil, faultf("%s: %d checks", what, kinds).expected("exactly one of exec = […], tcp = port, http = url")
	}
	return starlark.None, i.finishPromise(what, p, env, every, timeout)
}

func (i *instance) finishPromise(what string, p Promise, env *starlark.Dict, every, timeout starlark.Value) error {
	var err error
	if p.Probe.Env, err = i.readEnv(what, env); err != nil {
		return err
	}
	if p.Every, err = readTime(what+": every", every, promiseEvery, time.Second, 24*time.Hour); err != nil {
		return err
	}
	if p.Timeout, err = readTime(what+": timeout", timeout, promiseTimeout, 100*time.Millisecond, time.Hour); err != nil {
		return err
	}
	i.desired.Promises = append(i.desired.Promises, p)
	return i.checkWords(what, p.Probe.HTTP)
}
