package ledger

// A Topic is something whose changes can be subscribed to. Topics can be
// compared.
type Topic struct {
	kind topicKind
	name string
}

type topicKind uint8

const (
	topicAll topicKind = iota
	topicMembers
	topicSoftware
	topicComputer
	topicAccount
	topicIndex
)

// TopicAll is every change.
func TopicAll() Topic { return Topic{} }

// TopicIndex is every entry of the log, whether or not it changes anything.
func TopicIndex() Topic { return Topic{kind: topicIndex} }

// TopicMembers is the mesh, its accounts, peers and computers.
func TopicMembers() Topic { return Topic{kind: topicMembers} }

// TopicSoftware is the releases that are published.
func TopicSoftware() Topic { return Topic{kind: topicSoftware} }

// TopicComputer is what a computer is to do: its instances and supplies.
func TopicComputer(id ComputerID) Topic { return Topic{topicComputer, string(id)} }

// TopicAccount is what an account asked for: its instances and tokens, and
// the supplies of its computers.
func TopicAccount(name AccountName) Topic { return Topic{topicAccount, string(name)} }

// Topics calls yield with each topic that c belongs to.
func (c Change) Topics(yield func(Topic) bool) {
	if !yield(TopicAll()) {
		return
	}
	switch c.Table {
	case tableMesh, tableAccounts, tablePeers, tableComputers:
		yield(TopicMembers())
		return
	case tableReleases, tableNamings:
		yield(TopicSoftware())
		return
	default: // somebody's
	}
	if c.Computer != "" && !yield(TopicComputer(c.Computer)) {
		return
	}
	if c.Account != "" {
		yield(TopicAccount(c.Account))
	}
}
