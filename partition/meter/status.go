package meter

import (
	"maps"
	"slices"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
)

// A Status says how measuring goes.
type Status struct {
	Open      uint64    // number of the report that the open period becomes
	From      time.Time // when that period began
	Waiting   int       // reports in the spool
	Bytes     int64     // that they take
	Refused   int       // reports that were set aside
	Full      bool      // the spool is: periods are longer
	Instances []InstanceStatus
}

// An InstanceStatus says how one instance is measured.
type InstanceStatus struct {
	Instance  ledger.InstanceID
	Partition int
	By        string // ByProcess, ByCgroup, or "" while nothing runs
	Network   bool   // someone counts its bytes
	Failing   bool   // its last reading failed
	Memory    uint64 // bytes, when it was read last
	Disk      uint64
}

// Status returns how measuring goes now, instances in order.
func (m *Meter) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Status{
		Open: m.open.Number, From: m.open.From, Full: m.full(),
		Waiting: len(m.spool.waiting), Bytes: m.spool.bytes, Refused: len(m.spool.refused),
	}
	for _, id := range slices.Sorted(maps.Keys(m.tracked)) {
		t := m.tracked[id]
		i := InstanceStatus{Instance: id, Partition: t.partition, Failing: t.failing}
		if t.last != nil {
			r := t.last.Reading
			i.By, i.Network, i.Memory, i.Disk = r.By, len(r.Network) > 0, r.Memory, r.Disk
		}
		s.Instances = append(s.Instances, i)
	}
	return s
}
