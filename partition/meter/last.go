package meter

import "github.com/slapmesh/slapmesh/ledger"

// Last returns what the last reading of an instance showed.
func (m *Meter) Last(id ledger.InstanceID) (Reading, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.tracked[id]
	if !ok || t.last == nil {
		return Reading{}, false
	}
	return t.last.Reading, true
}
