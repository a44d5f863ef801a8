package protocol

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Trees is about instances that requested others, and about what becomes of
// names, places and data. A child is named below its parent, as in "shop/db".
type Trees interface {
	// Tree lists the instances of the tree in which one is: the root first,
	// then each above those that it requested.
	Tree(ctx context.Context, ref Ref) ([]Instance, error)

	// Rename gives an instance another name. What is below it is found below
	// the new name.
	Rename(ctx context.Context, ref Ref, in RenameInput) (Instance, error)

	// Bang has every instance of a tree looked at again, now.
	Bang(ctx context.Context, ref Ref, in BangInput) (Instance, error)

	// Move gives an instance another computer, where it is a new one that takes
	// its data along; or a stopped one without, if in.DiscardData.
	Move(ctx context.Context, ref Ref, in MoveInput) (Instance, error)

	// Destroy is SetState for what is to be destroyed. Its data is kept for a
	// while first, stopped and billed; an empty keep is the instance's own
	// retention.
	Destroy(ctx context.Context, ref Ref, keep string) (Instance, error)
}

// A RenameInput is a new name, without what is above it.
type RenameInput struct {
	To string `json:"to" minLength:"1" maxLength:"128"`
}

// A BangInput says why a tree is to be looked at again.
type BangInput struct {
	Message string `json:"message,omitempty" maxLength:"1024"`
}

// A MoveInput says where an instance goes.
type MoveInput struct {
	Filter map[string]string `json:"filter,omitempty" doc:"what the computer must be; the instance's filter, if not given"`
	Where  string            `json:"where,omitempty" maxLength:"4096" doc:"an expression that the computer must meet"`

	DiscardData bool `json:"discard_data" doc:"leave its data behind: it must be stopped"`
}

// MaxKeep is how long data is kept at most.
const MaxKeep = 366 * 24 * time.Hour

// ParseKeep reads how long data is kept: "24h", or in days, "7d". Empty is nil.
func ParseKeep(text string) (*time.Duration, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // nothing was said
	}
	hours := text
	if days, ok := strings.CutSuffix(text, "d"); ok && len(days) < 5 {
		hours = days + "h"
	}
	d, err := time.ParseDuration(hours)
	if hours != text {
		d *= 24
	}
	if err != nil || d < 0 || d > MaxKeep {
		return nil, Errorf(ErrInvalid, "keep %.40q: a duration such as 24h or 7d expected, at most 366d", text)
	}
	return &d, nil
}

// checkTree refuses what no implementation could accept of a request.
func (in RequestInput) checkTree() error {
	if len(in.Parent) > maxPath {
		return Errorf(ErrInvalid, "parent has %d bytes, more than %d", len(in.Parent), maxPath)
	}
	if in.Scope != "" && in.Scope != "personal" && in.Scope != "public" {
		return Errorf(ErrInvalid, "scope %.40q is none of personal, public", in.Scope)
	}
	_, err := ParseKeep(in.Keep)
	return err
}

// maxPath bounds the name of an instance with those above it.
const maxPath = 2048

// SortTree sorts instances by account, then by name, those below another right
// behind it.
func SortTree(all []Instance) {
	key := func(i Instance) string {
		return i.Account + "\x00" + strings.ReplaceAll(i.Reference, "/", "\x00")
	}
	slices.SortStableFunc(all, func(a, b Instance) int { return strings.Compare(key(a), key(b)) })
}
