package protocol

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A Port is one at which an instance is reached.
type Port struct {
	Number uint16
	UDP    bool
}

// String is the port as people write it: "3306", or "53/udp".
func (p Port) String() string {
	if p.UDP {
		return strconv.Itoa(int(p.Number)) + "/udp"
	}
	return strconv.Itoa(int(p.Number))
}

// Port returns a port of the instance, by name, number or such as "53/udp"; ""
// is the only one. It says why there is none to connect to now.
func (i Instance) Port(named string) (Port, error) {
	because := ""
	if i.Reason != "" {
		because = ": " + i.Reason
	}
	switch {
	case i.State == StateDestroyed:
		return Port{}, Errorf(ErrNotFound, "connect %s: it was destroyed", i.Reference)
	case i.Shared:
		return Port{}, Errorf(ErrConflict, "connect %s: it is shared, and has no ports of its own: the instance inside which it is has; see slapd show %s", i.Reference, i.Reference)
	case i.RequestedState != RequestStarted:
		return Port{}, Errorf(ErrConflict, "connect %s: it is %s: slapd start %s", i.Reference, i.RequestedState, i.Reference)
	case i.Unreachable != nil:
		return Port{}, Errorf(ErrUnavailable, "connect %s: its computer %s has not answered since %s", i.Reference, i.ComputerName, i.Unreachable.Local().Format("15:04:05"))
	case len(i.Ports) == 0 && i.State == StateStarted:
		return Port{}, Errorf(ErrNotFound, "connect %s: it has no ports", i.Reference)
	case len(i.Ports) == 0 || i.Address == "":
		return Port{}, Errorf(ErrConflict, "connect %s: it is not started yet but %s%s: see slapd show %s", i.Reference, i.State, because, i.Reference)
	}
	if number, ok := i.Ports[named]; ok {
		return Port{number, slices.Contains(i.UDPPorts, named)}, nil
	}
	var list []string
	var found []Port
	for _, name := range slices.Sorted(maps.Keys(i.Ports)) {
		port := Port{i.Ports[name], slices.Contains(i.UDPPorts, name)}
		if named == port.String() || named == "" && len(i.Ports) == 1 {
			return port, nil
		}
		if named == strconv.Itoa(int(port.Number)) {
			found = append(found, port)
		}
		list = append(list, fmt.Sprintf("%s (%s)", name, port))
	}
	if len(found) == 1 {
		return found[0], nil
	}
	if named == "" {
		return Port{}, Errorf(ErrInvalid, "connect %s: which port? it has %s", i.Reference, strings.Join(list, ", "))
	}
	return Port{}, Errorf(ErrNotFound, "connect %s: no port %.64q: it has %s", i.Reference, named, strings.Join(list, ", "))
}
