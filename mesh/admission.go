package mesh

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/slapmesh/slapmesh/mesh/frame"
)

// An Admitter decides who may join, and signs. The ledger's leader is one,
// behind whoever forwards to it.
type Admitter interface {
	// Admit is asked once for each attempt; the same peer may ask again with
	// the same token when it did not hear the answer, and should get the same
	// one. An error made by Refuse is shown to the newcomer; of any other it
	// learns only that something went wrong here. Admit must return when ctx
	// is done.
	Admit(ctx context.Context, a Admission) (AdmissionReply, error)

	// Inspect is asked by who wants to know what Admit would answer. It changes
	// nothing. Errors are as for Admit.
	Inspect(ctx context.Context, a Admission) (Invitation, error)

	// Readmit is asked for a peer that comes back with its key alone, for its
	// certificate expired while it was off. Who was admitted, and not removed,
	// gets a new certificate; nothing else changes. Errors are as for Admit.
	Readmit(ctx context.Context, a Admission) (AdmissionReply, error)
}

// An Admission is a request to join, whose sender proved to hold its key.
type Admission struct {
	Open        bool     // no token: only open meshes admit it
	TokenDigest [32]byte // what the ledger keeps of the token, unless Open
	PublicKey   ed25519.PublicKey
	Peer        PeerID
	Name        string
	Role        string // wished for; the token decides
	Addresses   []string
	From        string // the address that the request came from
}

// An AdmissionReply is what a newcomer gets: a certificate, or the word that it
// must wait for one.
type AdmissionReply struct {
	Waiting        *Waiting
	CertificateDER []byte
	Role           string
	Account        string
	Epoch          uint64
}

// Waiting is the error of a Join where an operator has to decide first: the
// newcomer asks again after a while, for as long as it likes.
type Waiting struct {
	Peer  PeerID    // that waits: people compare it
	Since time.Time // when it asked first
	Until time.Time // when that is forgotten
}

// Error says what is to be done.
func (w *Waiting) Error() string {
	return fmt.Sprintf("peer %s waits since %s for an operator, who is to type: slapd members approve %s",
		w.Peer, w.Since.UTC().Format(time.RFC3339), w.Peer.Short())
}

// ErrRefused is matched by the error of a Join that the mesh refused.
var ErrRefused = errors.New("refused")

// refusal is an error whose text may be shown to a stranger.
type refusal struct{ reason string }

// Error is the reason.
func (r refusal) Error() string { return r.reason }

// Is makes a refusal match ErrRefused.
func (r refusal) Is(target error) bool { return target == ErrRefused }

// Refuse makes the error with which an Admitter tells the newcomer why.
func Refuse(reason string) error { return refusal{reason} }

// nobody is the Admitter of a peer that has none.
type nobody struct{}

// Admit refuses.
func (nobody) Admit(context.Context, Admission) (AdmissionReply, error) {
	return AdmissionReply{}, Refuse("this peer admits nobody: join through another one")
}

// Inspect refuses.
func (nobody) Inspect(context.Context, Admission) (Invitation, error) {
	return Invitation{}, Refuse("this peer admits nobody: join through another one")
}

// Readmit refuses.
func (nobody) Readmit(context.Context, Admission) (AdmissionReply, error) {
	return AdmissionReply{}, Refuse("this peer renews no certificate: ask another one")
}

const (
	joinFormat     = 1
	joinRequestMax = 8 << 10
	joinReplyMax   = 64 << 10
	joinSeeds      = 16 // how many peers a newcomer is told of
	joinsAtOnce    = 64 // attempts under way; the next ones are told to wait

	joinPatience  = 30 * time.Second // for the whole attempt, at the door
	joinLingering = 3 * time.Second  // for the newcomer to read the answer
)

// joinRequest is the first frame, from the newcomer.
type joinRequest struct {
	Format    uint64   `cbor:"1,keyasint"`
	Secret    []byte   `cbor:"2,keyasint,omitempty"` // of the token; none in an open mesh
	Name      string   `cbor:"3,keyasint,omitempty"`
	Clock     int64    `cbor:"4,keyasint"` // Unix nanoseconds
	Role      string   `cbor:"5,keyasint,omitempty"`
	Addresses []string `cbor:"6,keyasint,omitempty"`
	Returning bool     `cbor:"30,keyasint,omitempty"` // admitted before; the certificate expired
	Nonce     []byte   `cbor:"31,keyasint,omitempty"` // to be knocked back with
}

// joinReply is the answer.
type joinReply struct {
	Format      uint64   `cbor:"1,keyasint"`
	Clock       int64    `cbor:"2,keyasint"` // Unix nanoseconds
	Refused     string   `cbor:"3,keyasint,omitempty"`
	Certificate []byte   `cbor:"4,keyasint,omitempty"`
	MeshName    string   `cbor:"5,keyasint,omitempty"`
	Role        string   `cbor:"6,keyasint,omitempty"`
	Account     string   `cbor:"7,keyasint,omitempty"`
	Epoch       uint64   `cbor:"8,keyasint,omitempty"`
	Seeds       [][]byte `cbor:"9,keyasint,omitempty"` // descriptors
	Observed    string   `cbor:"10,keyasint,omitempty"`
	Since       int64    `cbor:"20,keyasint,omitempty"` // Unix seconds: the newcomer waits for an operator since then
	Until       int64    `cbor:"21,keyasint,omitempty"` // and is forgotten then
	Removed     bool     `cbor:"30,keyasint,omitempty"` // who came back was removed from the mesh
	KnockedBack bool     `cbor:"31,keyasint,omitempty"`
	Uses        int      `cbor:"32,keyasint,omitempty"`
	Expires     int64    `cbor:"33,keyasint,omitempty"` // Unix seconds
	Others      []string `cbor:"70,keyasint,omitempty"` // addresses of other peers, who see the newcomer from elsewhere
}

// check holds a request to its bounds.
func (r joinRequest) check() error {
	switch {
	case r.Format > inspectFormat:
		return Refuse(fmt.Sprintf("version too new: it asks in format %d, the peer reads up to %d: upgrade slapd there, or join through another peer", r.Format, inspectFormat))
	case r.Format < joinFormat:
		return Refuse(fmt.Sprintf("version too old: it asks in format %d, the peer reads from %d on: upgrade slapd here", r.Format, joinFormat))
	case len(r.Nonce) != 0 && len(r.Nonce) != knockNonceSize:
		return Refuse("the nonce has a wrong length")
	case r.Returning && (len(r.Secret) != 0 || r.Format != joinFormat):
		return Refuse("who comes back shows its key, not a token")
	case len(r.Secret) != 0 && len(r.Secret) != len(Token{}.Secret):
		return Refuse("the token's secret has a wrong length")
	case !printable(r.Name, maxNameSize):
		return Refuse(fmt.Sprintf("the name is not 0 to %d bytes of plain text", maxNameSize))
	case !printable(r.Role, maxNameSize):
		return Refuse("the role is not readable")
	case len(r.Addresses) > maxAddresses:
		return Refuse(fmt.Sprintf("%d addresses, at most %d are allowed", len(r.Addresses), maxAddresses))
	}
	for _, a := range r.Addresses {
		if !printable(a, maxAddressSize) {
			return Refuse("an address is not readable")
		}
	}
	return nil
}

// A door serves those who join.
type door struct {
	wall     *wall
	book     *book
	admitter Admitter
	meshName string
	log      *slog.Logger
	knock    func(ctx context.Context, to net.Addr, packet []byte) error // nil: never
	slots    chan struct{}                                               // one per attempt under way
}

// serve handles one connection of a newcomer and closes it.
func (d *door) serve(ctx context.Context, c *quic.Conn) {
	defer func() { _ = c.CloseWithError(codeDoor, "done") }() // ended by the newcomer as a rule
	ctx, cancel := context.WithTimeout(ctx, joinPatience)
	defer cancel()
	// A newcomer that leaves, or is silent, ends the attempt.
	defer context.AfterFunc(ctx, func() { _ = c.CloseWithError(codeDoor, "too slow") })()
	stream, err := c.AcceptStream(ctx)
	if err != nil {
		return
	}
	var request joinRequest
	if err := frame.Read(stream, joinRequestMax, &request); err != nil {
		d.log.Debug("join request not readable", "from", c.RemoteAddr().String(), "err", err)
		return
	}
	reply := d.answer(ctx, c, request)
	if err := frame.Write(stream, reply); err != nil {
		return
	}
	_ = stream.Close() // what matters is whether the newcomer read it
	lingering, done := context.WithTimeout(c.Context(), joinLingering)
	defer done()
	<-lingering.Done()
}

// answer decides on a request.
func (d *door) answer(ctx context.Context, c *quic.Conn, r joinRequest) joinReply {
	reply := joinReply{Format: joinFormat, Clock: d.wall.clock().UnixNano(), MeshName: d.meshName, Observed: c.RemoteAddr().String()}
	state := c.ConnectionState().TLS
	key, ok := state.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok {
		reply.Refused = "the key is not Ed25519"
		return reply
	}
	if r.Returning && d.wall.revoked(PeerIDOf(key)) {
		reply.Removed = true
		return reply
	}
	var admitted AdmissionReply
	err := d.check(r, state.ServerName)
	if a := r.admission(key, reply.Observed); err == nil && r.Format == inspectFormat {
		if err = d.inspect(ctx, c, r, a, &reply); err == nil {
			return reply
		}
	} else if err == nil {
		admitted, err = d.admit(ctx, r.Returning, a)
	}
	var public refusal
	switch {
	case errors.As(err, &public):
		d.log.Info("join refused", "peer", PeerIDOf(key).Short(), "from", reply.Observed, "reason", public.reason)
		reply.Refused = public.reason
		return reply
	case err != nil:
		d.log.Warn("join failed", "peer", PeerIDOf(key).Short(), "from", reply.Observed, "err", err)
		reply.Refused = "the mesh cannot admit anyone now: try again, or look at the log of " + d.wall.identity.ID().Short()
		return reply
	}
	if w := admitted.Waiting; w != nil {
		d.log.Info("a peer asks to join", "peer", PeerIDOf(key).Short(), "name", r.Name, "from", reply.Observed)
		reply.Refused, reply.Since, reply.Until = w.Error(), w.Since.Unix(), w.Until.Unix()
		return reply
	}
	d.log.Info("peer admitted", "returning", r.Returning, "peer", PeerIDOf(key).Short(), "name", r.Name, "role", admitted.Role, "from", reply.Observed)
	reply.Certificate, reply.Role, reply.Account, reply.Epoch = admitted.CertificateDER, admitted.Role, admitted.Account, admitted.Epoch
	reply.Seeds = d.seeds()
	return reply
}

// check refuses what needs no ledger. A newcomer whose clock is wrong, or whose
// token is of before the CA was replaced, is refused before the token is used
// up.
func (d *door) check(r joinRequest, serverName string) error {
	if err := r.check(); err != nil {
		return err
	}
	if reason := clockReason(time.Unix(0, r.Clock).Sub(d.wall.clock()), d.wall.clock()); reason != "" {
		return Refuse(reason)
	}
	if by, _ := d.wall.proves(serverName, anybody); !r.Returning && !by.counts(d.wall.clock()) {
		return Refuse(fmt.Sprintf("the key of the mesh was replaced, and tokens and fingerprints from before count no longer since %s: ask for a new one (slapd token create)", by.until.UTC().Format(time.RFC3339)))
	}
	return nil
}

// admit asks the Admitter.
func (d *door) admit(ctx context.Context, returning bool, a Admission) (AdmissionReply, error) {
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	default:
		return AdmissionReply{}, Refuse("too many peers join at this moment: try again")
	}
	if returning {
		return d.admitter.Readmit(ctx, a)
	}
	return d.admitter.Admit(ctx, a)
}

// seeds lists peers that the newcomer can turn to, this one first.
func (d *door) seeds() [][]byte {
	var seeds [][]byte
	add := func(id PeerID) {
		if desc, _, ok := d.book.lookup(id); ok && len(seeds) < joinSeeds {
			seeds = append(seeds, desc.encoded)
		}
	}
	add(d.wall.identity.ID())
	for _, m := range d.book.members() {
		if m.State == StateAlive && m.Path != PathSelf {
			add(m.ID)
		}
	}
	return seeds
}

// clockReason says what is wrong with a newcomer's clock, or "". It names the
// mesh's time, for a computer without Internet asks no time server.
func clockReason(ahead time.Duration, now time.Time) string {
	const fix = "your clock is %s %s the mesh: set it (timedatectl set-ntp true, or without Internet date -u -s '%s'), then join again"
	at := now.UTC().Format(time.DateTime)
	switch {
	case ahead > clockTolerance:
		return fmt.Sprintf(fix, roughly(ahead), "ahead of", at)
	case ahead < -clockTolerance:
		return fmt.Sprintf(fix, roughly(-ahead), "behind", at)
	}
	return ""
}

// roughly writes a duration as people say it: 24h3m, 3m10s.
func roughly(d time.Duration) string {
	d = d.Round(time.Second)
	if d < time.Hour {
		return d.String()
	}
	return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
}
