package protocol

import "encoding/json"

// Filled returns s with empty lists in place of missing ones, so that its JSON
// has the same shape always.
func (s Status) Filled() Status {
	s.Reach.External, s.Reach.Relays = list(s.Reach.External), list(s.Reach.Relays)
	s.Voters, s.Standbys, s.Warnings = list(s.Voters), list(s.Standbys), list(s.Warnings)
	s.Whoami.Rights, s.Whoami.Projects = list(s.Whoami.Rights), list(s.Whoami.Projects)
	return s
}

// Filled returns t with empty lists in place of missing ones.
func (t Token) Filled() Token {
	t.Scopes, t.UsedBy = list(t.Scopes), list(t.UsedBy)
	return t
}

// Filled returns u with an empty list in place of a missing one.
func (u User) Filled() User {
	u.Projects = list(u.Projects)
	return u
}

// Filled returns p with an empty list in place of a missing one.
func (p Project) Filled() Project {
	p.Members = list(p.Members)
	return p
}

// Filled returns m with an empty map in place of a missing one.
func (m Member) Filled() Member {
	m.Labels = table(m.Labels)
	return m
}

// Filled returns c with an empty map in place of a missing one.
func (c Computer) Filled() Computer {
	c.Labels = table(c.Labels)
	return c
}

// Filled returns r with an empty list and an empty schema in place of missing
// ones.
func (r Release) Filled() Release {
	r.Types = list(r.Types)
	if len(r.Parameters) == 0 {
		r.Parameters = json.RawMessage("{}")
	}
	return r
}

// Filled returns i with empty maps in place of missing ones.
func (i Instance) Filled() Instance {
	i.Parameters, i.Filter = table(i.Parameters), table(i.Filter)
	i.Ports, i.Connection = table(i.Ports), table(i.Connection)
	return i
}

// Filled returns p with an empty list in place of a missing one.
func (p Price) Filled() Price {
	p.Next = list(p.Next)
	return p
}

// Filled returns s with empty lists in place of missing ones.
func (s Statement) Filled() Statement {
	s.Pays, s.Earns = list(s.Pays), list(s.Earns)
	return s
}

func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func table[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return m
}
