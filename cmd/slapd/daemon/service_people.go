package daemon

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/protocol"
)

// CreateToken implements [protocol.People].
func (s *service) CreateToken(ctx context.Context, in protocol.TokenInput) (protocol.Token, error) {
	v := s.books.View()
	m, _ := v.Mesh()
	if in.Role == "" {
		in.Role = protocol.RoleVoter
		if m.Open {
			in.Role = protocol.RoleComputer
		}
	}
	ttl, err := parseTTL(in.TTL)
	if err != nil {
		return protocol.Token{}, err
	}
	token, err := s.newToken()
	if err != nil {
		return protocol.Token{}, err
	}
	digest := token.Digest()
	id := tokenID(digest)
	v, err = s.propose(ctx, ledger.CreateToken{
		ID:      id,
		Digest:  digest[:],
		Role:    ledger.Role(in.Role),
		Uses:    max(1, in.Uses),
		Expires: s.cfg.Clock().Add(ttl),
		Account: ledger.AccountName(in.Account),
		Scopes:  in.Scopes,
		Project: ledger.AccountName(in.Project),
	})
	if err != nil {
		return protocol.Token{}, err
	}
	made, ok := v.Token(id)
	if !ok { // another account's, which a slice does not show
		made = ledger.Token{ID: id, Role: ledger.Role(in.Role), Uses: max(1, in.Uses), Expires: s.cfg.Clock().Add(ttl), Account: ledger.AccountName(in.Account)}
	}
	out := wireToken(made)
	out.Token = token.String()
	if made.Role != ledger.RoleUser {
		out.Join = fmt.Sprintf("slapd join %s --token %s", s.joinAddress(), token)
	}
	return out, nil
}

// Tokens implements [protocol.People].
func (s *service) Tokens(context.Context) ([]protocol.Token, error) {
	v := s.books.View()
	p, err := s.who(v)
	if err != nil {
		return nil, err
	}
	out := []protocol.Token{}
	add := func(tokens iter.Seq[ledger.Token]) {
		for t := range tokens {
			out = append(out, wireToken(t))
		}
	}
	if p.Operator {
		add(v.AllTokens())
	} else {
		if s.may(v, p.Account, ledger.RightAdmin) {
			add(v.Tokens(p.Account))
		}
		for m := range v.Projects(p.Account) {
			if s.may(v, m.Project, ledger.RightAdmin) {
				add(v.Tokens(m.Project))
			}
		}
	}
	sortTokens(out)
	noteUses(v, out)
	return out, nil
}

// maxUses bounds how many of those that a token admitted are listed.
const maxUses = 20

// noteUses notes whom the tokens admitted.
func noteUses(v *ledger.State, tokens []protocol.Token) {
	at := make(map[ledger.TokenID]int, len(tokens))
	for n, t := range tokens {
		at[ledger.TokenID(t.ID)] = n
	}
	for p := range v.Peers() {
		if n, ok := at[p.Token]; ok {
			tokens[n].UsedBy = append(tokens[n].UsedBy, protocol.TokenUse{PeerID: string(p.ID), Name: p.Name, At: p.Admitted})
		}
	}
	for n := range tokens {
		used := tokens[n].UsedBy
		slices.SortFunc(used, func(a, b protocol.TokenUse) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.PeerID, b.PeerID)) })
		tokens[n].UsedBy = used[:min(len(used), maxUses)]
	}
}

// RevokeToken implements [protocol.People].
func (s *service) RevokeToken(ctx context.Context, id string) error {
	_, err := s.propose(ctx, ledger.RevokeToken{ID: ledger.TokenID(id)})
	return err
}

// sortTokens puts the newest first.
func sortTokens(all []protocol.Token) {
	slices.SortFunc(all, func(a, b protocol.Token) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
	})
}

// parseTTL reads a duration that may also be in days, such as 7d. The default
// is an hour.
func parseTTL(text string) (time.Duration, error) {
	if text == "" {
		return time.Hour, nil
	}
	var days int
	if n, err := fmt.Sscanf(text, "%dd", &days); n == 1 && err == nil && text == fmt.Sprintf("%dd", days) {
		text = fmt.Sprintf("%dh", 24*days)
	}
	ttl, err := time.ParseDuration(text)
	if err != nil || ttl <= 0 || ttl > 10*365*24*time.Hour {
		return 0, protocol.Errorf(protocol.ErrInvalid, "ttl %q: a duration such as 30m, 1h or 7d expected, at most ten years", text)
	}
	return ttl, nil
}
