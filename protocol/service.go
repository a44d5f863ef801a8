package protocol

import (
	"context"
	"io"
	"iter"
)

// A Service is everything that one caller may ask of a peer. An implementation
// belongs to one caller, whose rights it enforces.
type Service interface {
	Fleet
	Owners
	Software
	People
	Groups
	Accounts
	Instances
	Trees
	Sessions
	Money
	History
}

// Fleet is about the peers of the mesh and the computers that they offer.
type Fleet interface {
	// Status describes the asked peer. It answers without a quorum, from what
	// the peer knows, and says so in Stale.
	Status(ctx context.Context) (Status, error)

	// Members lists the peers of the mesh as the asked peer sees them, sorted
	// by peer id.
	Members(ctx context.Context) ([]Member, error)

	// SetRole gives a peer another role: voter, computer or user. Operators
	// only.
	SetRole(ctx context.Context, peer string, role Role) (Member, error)

	// RemoveMember revokes a peer for good. Operators only.
	RemoveMember(ctx context.Context, peer string) error

	// Computers lists the computers of the mesh, sorted by id.
	Computers(ctx context.Context) ([]Computer, error)

	// Leave takes the asked peer out of the mesh and stops it. It is refused
	// while instances are placed there, unless in.Force.
	Leave(ctx context.Context, in LeaveInput) error
}

// Software is about what can be installed, and where it is.
type Software interface {
	// Releases lists the releases that a request can name: those of the
	// catalogue and those published, sorted by name.
	Releases(ctx context.Context) ([]Release, error)

	// Publish puts a release into the ledger. Publishing one twice changes
	// nothing.
	Publish(ctx context.Context, in PublishInput) (Release, error)

	// VerifyReleases reads every file of every release that the asked peer has
	// on its disk, and says what came to harm. With in.Repair it is taken from
	// peers or made anew. For operators, and whom the peer belongs to.
	VerifyReleases(ctx context.Context, in VerifyReleasesInput) ([]VerifiedTree, error)

	// Supplies lists which releases are ordered on which computers, sorted by
	// computer, then by release.
	Supplies(ctx context.Context) ([]Supply, error)

	// Supply orders a computer to have a release, or to drop it.
	Supply(ctx context.Context, in SupplyInput) (Supply, error)
}

// People is about who may join and ask.
type People interface {
	// CreateToken makes a token. The secret is in this answer and nowhere
	// else.
	CreateToken(ctx context.Context, in TokenInput) (Token, error)

	// Tokens lists the tokens of the caller's account and of the projects that
	// it owns (all, for an operator) without their secrets, newest first.
	Tokens(ctx context.Context) ([]Token, error)

	// RevokeToken ends a token, by id. Revoking one twice changes nothing.
	RevokeToken(ctx context.Context, id string) error
}

// Instances is about what runs for whom.
type Instances interface {
	// Request creates an instance or changes it. It is idempotent: what in
	// does not name keeps its value, and the same request twice gives the
	// same instance. It returns as soon as the ledger has decided.
	Request(ctx context.Context, in RequestInput) (Instance, error)

	// Quote says where Request would place the instance now and what that
	// costs, or refuses it as Request would. Nothing is reserved.
	Quote(ctx context.Context, in RequestInput) (Quote, error)

	// Instances lists the caller's instances, sorted by account, then by
	// reference. Destroyed instances are not listed.
	Instances(ctx context.Context, q InstanceQuery) ([]Instance, error)

	// Instance returns one instance, with its recent events.
	Instance(ctx context.Context, ref Ref) (Instance, error)

	// SetState asks that an instance be started, stopped or destroyed.
	SetState(ctx context.Context, ref Ref, state RequestedState) (Instance, error)

	// Watch yields what matches q as it is now, then again each time that it
	// changes; intermediate values may be skipped, the last one never. The
	// sequence ends when ctx is done or the loop is left; an error is yielded
	// once, at the end. A watched reference must exist. A value whose State is
	// destroyed is the last one of its instance.
	Watch(ctx context.Context, q InstanceQuery) iter.Seq2[Instance, error]
}

// Sessions is about looking into a running instance, wherever it runs.
type Sessions interface {
	// Logs returns what the instance's services wrote, as text, one line per
	// record and each line led by the service's name. With q.Follow the reader
	// blocks for more until it is closed or ctx is done. The caller closes it.
	Logs(ctx context.Context, ref Ref, q LogQuery) (io.ReadCloser, error)

	// Exec runs a program inside the instance's partition and returns its exit
	// code. It reads stdin until its end, or until the program has ended; a
	// read that blocks then is left to the caller. A nil stdin is empty.
	Exec(ctx context.Context, ref Ref, in ExecInput, stdin io.Reader, stdout, stderr io.Writer) (int, error)

	// Connect connects to a port of the instance, wherever it runs. It returns
	// once the instance has accepted. ctx bounds that, not the connection,
	// which the caller closes.
	Connect(ctx context.Context, ref Ref, in ConnectInput) (Conn, error)
}
