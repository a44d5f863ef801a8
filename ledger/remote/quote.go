package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/fxamacker/cbor/v2"

	"github.com/slapmesh/slapmesh/ledger"
)

// A question is the body of a quote.
type question struct {
	Since   uint64          `cbor:"1,keyasint,omitempty"` // the index that the answer must know
	Token   []byte          `cbor:"2,keyasint,omitempty"` // the digest of that of who asks beside the peer
	Request cbor.RawMessage `cbor:"3,keyasint"`
	Publish cbor.RawMessage `cbor:"4,keyasint,omitempty"` // what is to be known first
}

// A quotation answers a question: one of the two.
type quotation struct {
	Quote   *ledger.Quote `cbor:"1,keyasint,omitempty"`
	Refusal []byte        `cbor:"2,keyasint,omitempty"`
}

// quote answers a question of the given caller.
func (l *Local) quote(peer ledger.PeerID, q question) (ledger.Quote, error) {
	var publish *ledger.Publish
	invalid := func(err error) (ledger.Quote, error) {
		return ledger.Quote{}, &ledger.Refusal{Code: ledger.ErrInvalid, Detail: err.Error()}
	}
	c, err := ledger.ParseCommand(ledger.Request{}.Kind(), q.Request)
	request, ok := c.(ledger.Request)
	if !ok {
		return invalid(err)
	}
	if len(q.Publish) > 0 {
		c, err := ledger.ParseCommand(ledger.Publish{}.Kind(), q.Publish)
		p, ok := c.(ledger.Publish)
		if !ok {
			return invalid(err)
		}
		publish = &p
	}
	v := l.Ledger.View()
	who, err := bearer(v, peer, q.Token)
	if err == nil {
		err = v.Proposable(request)
	}
	if err != nil {
		return ledger.Quote{}, err
	}
	l.copying.Lock() // a view is copied by one at a time
	scratch := v.Copy()
	l.copying.Unlock()
	return scratch.Quote(who, l.Clock(), publish, request)
}

// bearer returns who asks: the bearer of a token, or the peer itself.
func bearer(v *ledger.State, peer ledger.PeerID, digest []byte) (ledger.Principal, error) {
	if len(digest) == 0 {
		return ledger.AsPeer(peer), nil
	}
	token, ok := v.TokenByDigest(digest)
	if !ok {
		return ledger.Principal{}, &ledger.Refusal{Code: ledger.ErrUnauthorized, Detail: "the token is not known to this mesh: ask for a new one"}
	}
	return ledger.AsToken(token.ID), nil
}

// quote answers peers that do not replicate.
func (s *Server) quote(w http.ResponseWriter, r *http.Request) {
	peer, ok := s.caller(w, r)
	if !ok {
		return
	}
	var q question
	if err := readBody(r.Body, &q); err != nil {
		http.Error(w, "quote: "+err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.Heartbeat)
	defer cancel()
	if err := s.cfg.Ledger.WaitIndex(ctx, q.Since); err != nil {
		http.Error(w, "quote: this voter is behind you: ask another", http.StatusServiceUnavailable)
		return
	}
	var out quotation
	quote, err := s.cfg.Local.quote(peer, q)
	if err != nil {
		out.Refusal = ledger.EncodeReply(err)
	} else {
		out.Quote = &quote
	}
	data, err := ledger.Marshal(out)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write(data) // who asked is gone if this fails
}

// Quote asks what would become of c, after publish if that is not nil. Nothing
// is proposed: this peer answers if it replicates, else a voter that knows the
// ledger up to since does. The error is a [*ledger.Refusal], but for that of
// ctx.
func (f *Forwarder) Quote(ctx context.Context, who Credential, since uint64, publish *ledger.Publish, c ledger.Request) (ledger.Quote, error) {
	q := question{Since: since, Token: who.TokenDigest}
	var err error
	if q.Request, err = ledger.EncodeCommand(c); err == nil && publish != nil {
		q.Publish, err = ledger.EncodeCommand(*publish)
	}
	if err != nil {
		return ledger.Quote{}, fmt.Errorf("quote: %w", err)
	}
	if l := f.cfg.Local; l != nil && !l.Ledger.View().Partial() {
		return l.quote(f.cfg.Self, q)
	}
	failed := errors.New("none is known")
	for _, voter := range f.cfg.Voters() {
		if voter == f.cfg.Self {
			continue
		}
		out, err := f.inquire(ctx, voter, q)
		switch {
		case err == nil && out.Quote != nil:
			return *out.Quote, nil
		case err == nil:
			return ledger.Quote{}, ledger.ParseReply(out.Refusal)
		case ctx.Err() != nil:
			return ledger.Quote{}, fmt.Errorf("quote: %w", context.Cause(ctx))
		}
		failed = err
	}
	return ledger.Quote{}, &ledger.Refusal{Code: ledger.ErrUnavailable, Detail: fmt.Sprintf("quote: no voter answered (%v): ask again later", failed)}
}

// inquire asks one voter.
func (f *Forwarder) inquire(ctx context.Context, voter ledger.PeerID, q question) (out quotation, err error) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.Stall)
	defer cancel()
	body, err := ledger.Marshal(q)
	if err != nil {
		return out, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+string(voter)+pathQuote, bytes.NewReader(body))
	if err != nil {
		return out, err
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := f.cfg.HTTP.RoundTrip(req)
	if err != nil {
		return out, err
	}
	defer drain(resp)
	if resp.StatusCode != http.StatusOK {
		return out, fmt.Errorf("%s answered %s", voter, resp.Status)
	}
	if err := readBody(resp.Body, &out); err != nil {
		return out, fmt.Errorf("answer of %s: %w", voter, err)
	}
	if out.Quote == nil && len(out.Refusal) == 0 {
		return out, fmt.Errorf("answer of %s: neither a quote nor a refusal", voter)
	}
	return out, nil
}
