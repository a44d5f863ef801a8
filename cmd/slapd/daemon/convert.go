package daemon

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/slapmesh/slapmesh/consensus"
	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/protocol"
)

// What the ledger records, in the words of the wire.

func wireInstance(v *ledger.State, i ledger.Instance) protocol.Instance {
	out := protocol.Instance{
		Reference:      v.Path(i),
		Account:        string(i.Account),
		ID:             uint64(i.ID),
		Release:        i.ReleaseName,
		ReleaseDigest:  string(i.Release),
		Type:           i.Type,
		Parameters:     i.Parameters,
		Filter:         i.Filter,
		Where:          i.Where,
		Policy:         string(i.Policy),
		Needs:          wireNeeds(i.Needs),
		Near:           texts(i.Affinity.Near),
		NearBy:         i.Affinity.NearBy,
		Apart:          texts(i.Affinity.Apart),
		ApartBy:        i.Affinity.ApartBy,
		Shared:         i.Shared,
		RequestedState: protocol.RequestedState(i.Requested),
		State:          protocol.State(i.State),
		Reason:         i.Reason,
		Healthy:        i.Healthy,
		Computer:       string(i.Computer),
		Partition:      ledger.PartitionName(i.Partition),
		Ports:          i.Ports,
		UDPPorts:       i.UDP,
		Connection:     i.Connection,
		Generation:     i.Generation,
		Created:        i.Created,
		Changed:        i.Changed,
	}
	if i.MaxPrice != 0 {
		out.MaxPrice = i.MaxPrice.String()
	}
	wireTree(v, i, &out)
	if i.Address.IsValid() {
		out.Address = i.Address.String()
	}
	if c, ok := v.Computer(i.Computer); ok {
		out.ComputerName = c.Name
		if c.State != ledger.ComputerOnline {
			out.Unreachable = &c.Since
		}
	}
	return out
}

func wireEvents(v *ledger.State, i ledger.Instance) []protocol.Event {
	var out []protocol.Event
	for e := range v.Events(0) {
		if e.Instance == i.ID {
			kind, _, _ := strings.Cut(e.Text, " ") // events are past participles
			out = append(out, protocol.Event{Index: e.N, At: e.At, Kind: kind, Text: e.Text})
		}
	}
	return out[max(0, len(out)-maxEvents):]
}

// maxEvents is how many events an answer about one instance carries.
const maxEvents = 50

func wireComputer(c ledger.Computer) protocol.Computer {
	return protocol.Computer{
		Computer:       string(c.ID),
		Name:           c.Name,
		Owner:          string(c.Account),
		Scope:          string(c.Scope),
		Partitions:     c.Partitions,
		PartitionsFree: c.Free,
		Capacity:       wireNeeds(c.Capacity()),
		Reserved:       wireNeeds(c.Reserved),
		Labels:         c.Labels,
		Grade:          c.Grade,
		Arch:           c.Arch,
		State:          string(c.State),
		Drained:        c.Drained,
		Retired:        c.Retired,
		Since:          c.Since,
	}
}

func wireRelease(r ledger.Release) protocol.Release {
	return protocol.Release{
		Name:       r.Name,
		Version:    r.Version,
		Title:      r.Title,
		Digest:     string(r.Digest),
		Types:      r.Types,
		Parameters: r.Schema,
		Published:  true,
	}
}

func wireSupply(v *ledger.State, s ledger.Supply) protocol.Supply {
	out := protocol.Supply{
		Computer:       string(s.Computer),
		ReleaseDigest:  string(s.Release),
		RequestedState: protocol.SupplyState(s.Requested),
		State:          string(s.State),
		Progress:       s.Progress,
		Reason:         s.Error,
		Changed:        s.Changed,
	}
	if c, ok := v.Computer(s.Computer); ok {
		out.ComputerName = c.Name
	}
	if r, ok := v.Release(s.Release); ok {
		out.Release = r.Name
	}
	return out
}

func wireToken(t ledger.Token) protocol.Token {
	return protocol.Token{
		ID:      string(t.ID),
		Role:    protocol.Role(t.Role),
		Account: string(t.Account),
		Uses:    t.Uses,
		Expires: t.Expires,
		Created: t.Created,
		Revoked: t.Revoked,
		Scopes:  t.Scopes,
		Project: string(t.Project),
	}
}

func sortReleases(all []protocol.Release) {
	slices.SortFunc(all, func(a, b protocol.Release) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(b.Version, a.Version), cmp.Compare(a.Digest, b.Digest))
	})
}

// wireError turns a refusal into one of the protocol's. What is not a
// refusal stays as it is: a fault of ours.
func wireError(err error) error {
	var refusal *ledger.Refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refusal) && refusal.Code != ledger.ErrInternal:
		return &protocol.Error{Code: refusal.Code, Message: err.Error()}
	case errors.Is(err, consensus.ErrAmbiguous):
		return protocol.Errorf(protocol.ErrUnavailable, "the leader changed while the command was on its way, so it may or may not have been decided: ask again, which is safe (%v)", err)
	}
	return err
}
