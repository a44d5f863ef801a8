package nat

import "slices"

// A Kind is what stands between a computer and others, in the words that
// people use: how it maps, and whom it lets in (RFC 4787, 4 and 5).
type Kind string

// The kinds.
const (
	KindUnknown    Kind = "unknown"         // too little was observed
	KindNone       Kind = "none"            // nothing that was noticed
	KindFirewall   Kind = "firewall"        // no translator, but it lets in only whom something was sent to
	KindNAT        Kind = "nat"             // a translator, of which no more is known
	KindCone       Kind = "cone"            // one outside address for all
	KindOpen       Kind = "open-cone"       // and it lets in others too: full cone, or restricted by address
	KindRestricted Kind = "restricted-cone" // and it lets in only whom something was sent to
	KindSymmetric  Kind = "symmetric"       // another outside address for each
)

// kinds numbers them for the wire. New ones are appended.
var kinds = []Kind{KindUnknown, KindNone, KindFirewall, KindNAT, KindCone, KindOpen, KindRestricted, KindSymmetric}

// Number is what stands for the kind on the wire.
func (k Kind) Number() uint8 { return uint8(max(0, slices.Index(kinds, k))) }

// KindOf is the kind of a number; one that is not known is [KindUnknown].
func KindOf(number uint8) Kind {
	if int(number) >= len(kinds) {
		return KindUnknown
	}
	return kinds[number]
}

// An Entry says whether others come in whom the computer sent nothing.
type Entry int

// The entries.
const (
	EntryUnknown Entry = iota
	EntryOpen          // somebody came in
	EntryClosed        // somebody tried in vain
)

// Kind says in one word what follows from a verdict and from who came in.
func (v Verdict) Kind(e Entry) Kind {
	switch {
	case v.Mapping == Dependent:
		return KindSymmetric
	case v.Mapping == Independent && e == EntryOpen:
		return KindOpen
	case v.Mapping == Independent && e == EntryClosed:
		return KindRestricted
	case v.Mapping == Independent:
		return KindCone
	case len(v.External) > 0:
		return KindNAT
	case v.Mapping == None && e == EntryClosed:
		return KindFirewall
	case v.Mapping == None:
		return KindNone
	}
	return KindUnknown
}
