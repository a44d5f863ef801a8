package ledger

import (
	"fmt"
	"time"
)

// A Command asks the mesh to decide one thing. Commands are kept in the log
// for ever: a released kind keeps its name and the meaning of its fields,
// and a new meaning is a new kind.
type Command interface {
	// Kind is the command's name in the log, such as "request".
	Kind() string

	// decide says what the command changes, or refuses it with a Refusal. It
	// must not modify s. x.Principal has been recognised.
	decide(s *State, x Context) ([]Event, error)
}

// A Context is what a decision knows beside the state and the command.
type Context struct {
	At        time.Time // stamped by the leader; never runs back
	Principal Principal
}

// An envelope is the form of a command in the log and on the wire.
type envelope struct {
	Kind      string    `cbor:"1,keyasint"`
	Principal Principal `cbor:"2,keyasint"`
	Data      rawCBOR   `cbor:"3,keyasint"`
}

// Encode returns the bytes of c, asked by p, for the log.
func Encode(p Principal, c Command) ([]byte, error) {
	data, err := encode(c)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", c.Kind(), err)
	}
	return Seal(p, c.Kind(), data)
}

// Seal is [Encode] of the command of a kind that [EncodeCommand] made data of.
func Seal(p Principal, kind string, data []byte) ([]byte, error) {
	return encode(envelope{kind, p, data})
}

// Parse returns what Encode was given. The leader calls it before it orders
// a command; that it fails later means that this peer is too old to follow.
func Parse(data []byte) (Principal, Command, error) {
	var e envelope
	if err := decode(data, &e); err != nil {
		return Principal{}, nil, fmt.Errorf("parse command: %w", err)
	}
	c, err := ParseCommand(e.Kind, e.Data)
	return e.Principal, c, err
}

// ParseCommand returns the command that was encoded as kind and data. Its
// switches list all the commands there are.
func ParseCommand(kind string, data []byte) (Command, error) {
	switch kind {
	case Found{}.Kind():
		return parse[Found](data)
	case Admit{}.Kind():
		return parse[Admit](data)
	case CreateToken{}.Kind():
		return parse[CreateToken](data)
	case RevokeToken{}.Kind():
		return parse[RevokeToken](data)
	case SetRole{}.Kind():
		return parse[SetRole](data)
	case RemovePeer{}.Kind():
		return parse[RemovePeer](data)
	case Leave{}.Kind():
		return parse[Leave](data)
	case AssignSeat{}.Kind():
		return parse[AssignSeat](data)
	case RaiseRules{}.Kind():
		return parse[RaiseRules](data)
	case Offer{}.Kind():
		return parse[Offer](data)
	case MarkComputers{}.Kind():
		return parse[MarkComputers](data)
	case Publish{}.Kind():
		return parse[Publish](data)
	case Unpublish{}.Kind():
		return parse[Unpublish](data)
	case SetSupply{}.Kind():
		return parse[SetSupply](data)
	case Request{}.Kind():
		return parse[Request](data)
	case SetState{}.Kind():
		return parse[SetState](data)
	case Report{}.Kind():
		return parse[Report](data)
	default:
		return parseBilling(kind, data)
	}
}

// parseBilling is ParseCommand for the commands about money.
func parseBilling(kind string, data []byte) (Command, error) {
	switch kind {
	case SetPrice{}.Kind():
		return parse[SetPrice](data)
	case Pay{}.Kind():
		return parse[Pay](data)
	case SetLimit{}.Kind():
		return parse[SetLimit](data)
	case SetTerms{}.Kind():
		return parse[SetTerms](data)
	case StopShort{}.Kind():
		return parse[StopShort](data)
	case ReviewBill{}.Kind():
		return parse[ReviewBill](data)
	case ReportUsage{}.Kind():
		return parse[ReportUsage](data)
	default:
		return parsePeople(kind, data)
	}
}

// parsePeople is ParseCommand for the commands about users and projects.
func parsePeople(kind string, data []byte) (Command, error) {
	switch kind {
	case CreateProject{}.Kind():
		return parse[CreateProject](data)
	case SetMember{}.Kind():
		return parse[SetMember](data)
	case RemoveMember{}.Kind():
		return parse[RemoveMember](data)
	case DeleteProject{}.Kind():
		return parse[DeleteProject](data)
	case SetQuota{}.Kind():
		return parse[SetQuota](data)
	case CreateUser{}.Kind():
		return parse[CreateUser](data)
	case DisableAccount{}.Kind():
		return parse[DisableAccount](data)
	case SetOperator{}.Kind():
		return parse[SetOperator](data)
	case SetAdmission{}.Kind():
		return parse[SetAdmission](data)
	case Apply{}.Kind():
		return parse[Apply](data)
	case Approve{}.Kind():
		return parse[Approve](data)
	case RefuseApplicant{}.Kind():
		return parse[RefuseApplicant](data)
	case RotateCA{}.Kind():
		return parse[RotateCA](data)
	default:
		return parseTrees(kind, data)
	}
}

func parse[C Command](data []byte) (Command, error) {
	var c C
	if err := decode(data, &c); err != nil {
		return nil, fmt.Errorf("parse %s: %w", c.Kind(), err)
	}
	return c, nil
}

// EncodeCommand returns the data with which ParseCommand makes c again.
func EncodeCommand(c Command) ([]byte, error) { return encode(c) }

// An Outcome is what became of a command.
type Outcome struct {
	Index uint64 // of the log entry that holds it: a view that is as new shows its effect
}

// EncodeReply returns the bytes that a replica answers to a command that was
// refused with err, or accepted if err is nil. An error without a code is a
// fault of ours and is not told.
func EncodeReply(err error) []byte {
	if err == nil {
		return []byte{}
	}
	r := Refusal{CodeOf(err), err.Error()}
	if r.Code == "" {
		r = Refusal{ErrInternal, "internal error"}
	}
	return mustEncode(r)
}

// ParseReply returns the error that a reply tells of: nil, a [*Refusal], or,
// if the reply cannot be read, another.
func ParseReply(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	r := new(Refusal)
	if err := Unmarshal(data, r); err != nil {
		return fmt.Errorf("parse reply: %w", err)
	}
	return r
}
