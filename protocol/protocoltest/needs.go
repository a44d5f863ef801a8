package protocoltest

import (
	"cmp"

	"github.com/slapmesh/slapmesh/protocol"
)

// reserved is what all instances need together. The caller holds mu.
func (m *Mesh) reserved() (sum protocol.Needs) {
	for _, i := range m.instances {
		sum.Millicores += i.Needs.Millicores
		sum.Memory += i.Needs.Memory
		sum.Disk += i.Needs.Disk
		sum.Bandwidth += i.Needs.Bandwidth
	}
	return sum
}

// resized is what an instance needs after a request. A computer has four
// cores. The caller holds mu.
func (m *Mesh) resized(i protocol.Instance, in protocol.RequestInput) (protocol.Needs, error) {
	now := in.Needs
	if !in.ReplaceNeeds {
		now.Millicores = cmp.Or(now.Millicores, i.Needs.Millicores)
		now.Memory = cmp.Or(now.Memory, i.Needs.Memory)
		now.Disk = cmp.Or(now.Disk, i.Needs.Disk)
		now.Bandwidth = cmp.Or(now.Bandwidth, i.Needs.Bandwidth)
	}
	if sum := m.reserved().Millicores - i.Needs.Millicores + now.Millicores; sum > 4000 {
		return now, protocol.Errorf(protocol.ErrExhausted, "no partition for %s: 1 computer: 1 too few cores free (wants %s cores)",
			in.Reference, protocol.FormatCores(now.Millicores))
	}
	return now, nil
}
