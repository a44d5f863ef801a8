package placement

import (
	"math"
	"slices"
)

// narrow finds the shortest lists in which every computer that fits is.
func (s *search) narrow() {
	s.total = s.index.placed
	s.size, s.single = s.total, s.total
	s.room, s.has = s.want.Needs, s.want.Needs
	offer := func(texts ...string) {
		lists, size := make([]uint32, 0, len(texts)), 0
		for _, text := range texts {
			if row, ok := s.index.facts.Get(text); ok {
				lists, size = append(lists, row.number), size+row.count
			}
		}
		if len(lists) == 1 && size < s.single {
			s.one, s.single = lists[0], size
		}
		if size < s.size {
			s.lists, s.size, s.direct = lists, size, nil
		}
	}
	for _, l := range s.filter {
		switch l.Key {
		case "built":
		case "computer":
			s.name(l.Value)
		default:
			offer(clause(l.Key, l.Value))
		}
	}
	if e := s.want.Expr; e != nil {
		s.room, s.has = s.room.atLeast(e.room), s.has.atLeast(e.has)
		for _, texts := range e.facts {
			offer(texts...)
		}
		for _, names := range e.computers {
			s.name(names...)
		}
	}
	if s.want.OnlySites != nil {
		texts := make([]string, 0, len(s.sites))
		for _, site := range s.want.OnlySites {
			if text := siteFact(site); !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
		offer(texts...)
	}
	if s.want.OnlyComputers != nil && len(s.only) < s.size {
		s.lists, s.size, s.direct = nil, len(s.only), s.want.OnlyComputers
	}
}

// name offers the computers of which one of names is the id or the name.
func (s *search) name(names ...string) {
	var ids []string
	for _, name := range names {
		if _, ok := s.index.candidates.Get(name); ok {
			ids = append(ids, name)
		}
		for id := range s.index.named.Keys(name) {
			if ids = append(ids, id); len(ids) >= s.size {
				return
			}
		}
	}
	if len(ids) < s.size {
		s.lists, s.size, s.direct = nil, len(ids), ids
	}
}

// index notes what must be so for clause c to hold.
func (e *Expr) index(c *node) {
	if len(c.kids) == 2 {
		e.atLeast(c.op, c.kids[0], c.kids[1])
	}
	if c.op != opEqual && c.op != opIn {
		return
	}
	name, literals := c.kids[0], c.kids[1:]
	if c.op == opEqual && name.op == opText { // "FR" = country
		name, literals = c.kids[1], c.kids[:1]
	}
	if name.op != opName || name.name == label && reserved(name.text) || name.name.isNumber() {
		return
	}
	var texts []string
	for _, l := range literals {
		if l.op != opText {
			return
		}
		if text := name.factOf(l.text); !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	if name.name == nameComputer || name.name == nameName {
		e.computers = append(e.computers, texts)
	} else {
		e.facts = append(e.facts, texts)
	}
}

// atLeast notes what a comparison says of the least that a computer has.
func (e *Expr) atLeast(o op, name, least *node) {
	ok := o == opEqual || o == opMore || o == opMoreEqual
	if name.op == opNumber { // 4 <= cores
		name, least = least, name
		ok = o == opEqual || o == opLess || o == opLessEqual
	}
	if !ok || name.op != opName || least.op != opNumber {
		return
	}
	n := least.n
	switch cores := min(n, math.MaxInt64/1000) * 1000; name.name {
	case nameCores:
		e.has.Cores = max(e.has.Cores, cores)
	case nameMillicores:
		e.has.Cores = max(e.has.Cores, n)
	case nameMemory:
		e.has.Memory = max(e.has.Memory, n)
	case nameDisk:
		e.has.Disk = max(e.has.Disk, n)
	case nameCoresFree:
		e.room.Cores = max(e.room.Cores, cores)
	case nameMemoryFree:
		e.room.Memory = max(e.room.Memory, n)
	case nameDiskFree:
		e.room.Disk = max(e.room.Disk, n)
	default:
	}
}

// factOf returns the fact that the index keeps of n, a name, being equal to
// text; of the names of a computer, the text.
func (n *node) factOf(text string) string {
	switch n.name {
	case nameComputer, nameName:
		return text
	case nameOwner:
		return ownerFact(text)
	case nameGrade:
		return clause("grade", text)
	case nameArch:
		return clause("arch", text)
	default:
		return clause(n.text, text)
	}
}
