package partition

import (
	"fmt"
	"maps"
	"net/netip"
	"path"
	"slices"

	"github.com/slapmesh/slapmesh/partition/release"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// specOf translates what an instance should be into what its supervisor does.
// Root is the partition's folder as the instance sees it.
func specOf(d release.Desired, root string, address netip.Addr) (supervisor.Spec, error) {
	var s supervisor.Spec
	for _, dir := range d.Dirs {
		s.Dirs = append(s.Dirs, supervisor.Dir{Path: path.Join(root, dir.Path), Mode: dir.Mode})
	}
	for _, f := range d.Files {
		s.Files = append(s.Files, supervisor.File{Path: path.Join(root, f.Path), Mode: f.Mode, Content: f.Content})
	}
	for _, step := range d.Once {
		s.Steps = append(s.Steps, supervisor.Step{
			Name: step.Name, Argv: step.Argv, Env: environ(step.Env), Stdin: step.Stdin,
			After: step.After, Revision: step.Revision,
		})
	}
	for _, v := range d.Services {
		service, err := serviceOf(v, address)
		if err != nil {
			return supervisor.Spec{}, err
		}
		s.Services = append(s.Services, service)
		s.StartTimeout = max(s.StartTimeout, supervisor.DefaultStartTimeout+service.ReadyTimeout)
	}
	for _, p := range d.Promises {
		s.Promises = append(s.Promises, supervisor.Promise{
			Name: p.Name, Check: checkOf(p.Probe), Env: environ(p.Probe.Env), Every: p.Every, Timeout: p.Timeout,
		})
	}
	for _, j := range d.Jobs {
		s.Jobs = append(s.Jobs, supervisor.Job{Name: j.Name, Argv: j.Argv, Env: environ(j.Env), Schedule: j.Schedule, Timeout: j.Timeout})
	}
	return s, nil
}

func serviceOf(v release.Service, address netip.Addr) (supervisor.Service, error) {
	service := supervisor.Service{
		Name: v.Name, Argv: v.Argv, Env: environ(v.Env), After: v.After,
		StopGrace: v.StopGrace, Revision: v.Revision,
	}
	if v.StopSignal != "" {
		n := signalNumber(v.StopSignal)
		if n == 0 {
			return service, fmt.Errorf("service %s: stop signal %q is not known", v.Name, v.StopSignal)
		}
		service.StopSignal = int(n)
	}
	if v.Readiness != nil {
		service.Ready = []supervisor.Check{checkOf(v.Readiness.Probe)}
		service.ReadyEnv = environ(v.Readiness.Probe.Env)
		service.ReadyTimeout = v.Readiness.Timeout
		return service, nil
	}
	for _, name := range slices.Sorted(maps.Keys(v.Ports)) {
		if slices.Contains(v.UDP, name) {
			continue // nothing can connect to it
		}
		service.Ready = append(service.Ready, supervisor.Check{TCP: netip.AddrPortFrom(address, v.Ports[name]).String()})
	}
	return service, nil
}

func checkOf(p release.Probe) supervisor.Check {
	return supervisor.Check{Exec: p.Exec, TCP: p.TCP, HTTP: p.HTTP}
}

// environ returns variables in one order, so that equal ones have equal
// hashes.
func environ(vars map[string]string) []string {
	env := make([]string, 0, len(vars))
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		env = append(env, name+"="+vars[name])
	}
	return env
}
