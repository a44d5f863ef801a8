package protocol

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Port returns the number of a port of the instance, by name or number; "" is
// the only one. It says why there is none to connect to now.
func (i Instance) Port(named string) (uint16, error) {
	because := ""
	if i.Reason != "" {
		because = ": " + i.Reason
	}
	switch {
	case i.State == StateDestroyed:
		return 0, Errorf(ErrNotFound, "connect %s: it was destroyed", i.Reference)
	case i.Shared:
		return 0, Errorf(ErrConflict, "connect %s: it is shared, and has no ports of its own: the instance inside which it is has; see slapd show %s", i.Reference, i.Reference)
	case i.RequestedState != RequestStarted:
		return 0, Errorf(ErrConflict, "connect %s: it is %s: slapd start %s", i.Reference, i.RequestedState, i.Reference)
	case i.Unreachable != nil:
		return 0, Errorf(ErrUnavailable, "connect %s: its computer %s has not answered since %s", i.Reference, i.ComputerName, i.Unreachable.Local().Format("15:04:05"))
	case len(i.Ports) == 0 && i.State == StateStarted:
		return 0, Errorf(ErrNotFound, "connect %s: it has no ports", i.Reference)
	case len(i.Ports) == 0 || i.Address == "":
		return 0, Errorf(ErrConflict, "connect %s: it is not started yet but %s%s: see slapd show %s", i.Reference, i.State, because, i.Reference)
	}
	if number, ok := i.Ports[named]; ok {
		return number, nil
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(i.Ports)) {
		number := i.Ports[name]
		if named == strconv.Itoa(int(number)) || named == "" && len(i.Ports) == 1 {
			return number, nil
		}
		list = append(list, fmt.Sprintf("%s (%d)", name, number))
	}
	if named == "" {
		return 0, Errorf(ErrInvalid, "connect %s: which port? it has %s", i.Reference, strings.Join(list, ", "))
	}
	return 0, Errorf(ErrNotFound, "connect %s: no port %.64q: it has %s", i.Reference, named, strings.Join(list, ", "))
}
