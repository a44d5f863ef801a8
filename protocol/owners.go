package protocol

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Owners is about what owners do with their computers. An empty computer is
// that of the asked peer. Admins of the owner and operators may.
type Owners interface {
	// SetComputer says whose instances a computer takes, and its labels, over
	// what the computer says itself.
	SetComputer(ctx context.Context, in ComputerInput) (Computer, error)

	// DrainComputer keeps new instances away from a computer, or lets them
	// come again. What is there stays.
	DrainComputer(ctx context.Context, in DrainInput) (Computer, error)

	// EmptyComputer moves the instances of a computer elsewhere, with their data,
	// as far as that can be. It says of each what becomes of it; those that are
	// on their way already go on. It returns at once.
	EmptyComputer(ctx context.Context, in EmptyInput) ([]Leaving, error)

	// RetireComputer keeps new instances away for good. It is refused while
	// instances are there, unless in.Force, which destroys them.
	RetireComputer(ctx context.Context, in RetireInput) (Computer, error)

	// GiveComputer makes a computer another account's, which earns from then
	// on.
	GiveComputer(ctx context.Context, in GiveInput) (Computer, error)
}

// A ComputerInput says what a computer's owner says of it. What is left out
// keeps its value.
type ComputerInput struct {
	Computer string            `json:"computer,omitempty" maxLength:"128" doc:"id or name; that of the asked peer, if not given"`
	Scope    string            `json:"scope,omitempty" enum:"personal,group,open,public,closed" doc:"whose instances it takes: its owner's; also those of its owner's projects and their members; anyone's, where isolation is strong enough; anyone's; nobody's"`
	Labels   map[string]string `json:"labels,omitempty" doc:"an empty value removes a label"`
	Reset    bool              `json:"reset,omitempty" doc:"begin with what the computer says itself"`
}

// A DrainInput says whether a computer takes new instances.
type DrainInput struct {
	Computer string `json:"computer,omitempty" maxLength:"128" doc:"id or name; that of the asked peer, if not given"`
	Drained  bool   `json:"drained"`
}

// An EmptyInput names a computer to be emptied.
type EmptyInput struct {
	Computer string `json:"computer,omitempty" maxLength:"128" doc:"id or name; that of the asked peer, if not given"`
}

// A Leaving says what becomes of an instance of a computer that is emptied.
type Leaving struct {
	Instance  string `json:"instance" doc:"the id that it has there"`
	Account   string `json:"account"`
	Reference string `json:"reference" doc:"empty for who may not know"`
	To        string `json:"to,omitempty" doc:"the computer where it goes on; until it is started there its data is on both"`
	Why       string `json:"why,omitempty" doc:"why it stays"`
}

// A RetireInput retires a computer.
type RetireInput struct {
	Computer string `json:"computer,omitempty" maxLength:"128" doc:"id or name; that of the asked peer, if not given"`
	Force    bool   `json:"force,omitempty" doc:"destroy the instances that are placed there"`
}

// A GiveInput gives a computer to an account.
type GiveInput struct {
	Computer string `json:"computer,omitempty" maxLength:"128" doc:"id or name; that of the asked peer, if not given"`
	Account  string `json:"account" minLength:"1" maxLength:"64"`
}

// An OwnerShare is what somebody who gave a computer away has earned from a
// bill.
type OwnerShare struct {
	Owner   string    `json:"owner"`
	Until   time.Time `json:"until" doc:"what was used from then on is not its"`
	ToOwner string    `json:"to_owner" doc:"without the fee"`
	ToMesh  string    `json:"to_mesh" doc:"the fee"`
}

// Scopes are whose instances a computer may take.
var Scopes = []string{"personal", "group", "open", "public", "closed"}

// Check refuses what no implementation could accept.
func (in ComputerInput) Check() error {
	if in.Scope != "" && !slices.Contains(Scopes, in.Scope) {
		return Errorf(ErrInvalid, "set computer: scope %.40q: personal, group, open, public or closed expected", in.Scope)
	}
	if len(in.Labels) > maxFilter {
		return Errorf(ErrInvalid, "set computer: %d labels are more than %d", len(in.Labels), maxFilter)
	}
	for _, key := range slices.Sorted(maps.Keys(in.Labels)) {
		if key == "" || len(key) > maxKey || len(in.Labels[key]) > maxKey || unprintable(key) || unprintable(in.Labels[key]) {
			return Errorf(ErrInvalid, "set computer: label %.20q: 1 to %d bytes that print wanted, and as many for its value", key, maxKey)
		}
	}
	return nil
}
