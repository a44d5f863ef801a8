package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/slapmesh/slapmesh/ledger/journal"
)

// Config says for whom history is exchanged, and with whom.
type Config struct {
	Journal *journal.Journal

	// HTTP reaches other peers: the host of a URL is a peer id.
	HTTP http.RoundTripper

	// Keepers lists the other peers that hold the ledger, Peers those with
	// which to compare, whoever they are.
	Keepers func() []string
	Peers   func() []string

	// Replicates reports whether the caller of a request holds the ledger.
	Replicates func(r *http.Request) bool

	// Holds reports whether this peer appends to the journal.
	Holds func() bool

	// Trust says whose checkpoints count. It fails while that is not known.
	Trust func() (journal.Trust, error)

	// Signer signs what this peer holds.
	Signer note.Signer

	// Log receives what a person should know. Default: nothing is logged.
	Log *slog.Logger

	// Every is how often a peer compares. Default 30 s.
	Every time.Duration
}

// Bounds on what is asked of others.
const (
	patience   = 10 * time.Second
	fillRounds = 5 // looks for what is missing, between two comparisons
	askedPeers = 4 // for one proof
)

// An Exchange carries history between peers. Use [New].
type Exchange struct {
	cfg    Config
	client *http.Client
	told   atomic.Bool // that history contradicts itself

	signing sync.Mutex
	signed  uint64 // the size that was signed last; guarded by signing
}

// New returns an exchange. Run makes it work.
func New(cfg Config) *Exchange {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Every == 0 {
		cfg.Every = 30 * time.Second
	}
	return &Exchange{cfg: cfg, client: &http.Client{Transport: cfg.HTTP}}
}

// Run signs, compares and fills until ctx is done. The error is a
// [journal.DivergedError], or an [OutvotedError], if what this peer holds is
// another history than that of the mesh: it must not go on.
func (x *Exchange) Run(ctx context.Context) error {
	tick := time.NewTicker(x.cfg.Every / fillRounds)
	defer tick.Stop()
	for round := rand.IntN(fillRounds); ; round++ {
		if err := x.fill(ctx); err != nil {
			return err
		}
		if round%fillRounds == 0 {
			if err := x.Compare(ctx); err != nil && ctx.Err() == nil {
				x.cfg.Log.Debug("checkpoints not compared", "err", err)
				if err := x.outvoted(err); err != nil {
					return err
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Compare signs what this peer holds, if that has grown, asks another peer for
// the newest checkpoint that it knows, and compares that with all that this
// peer ever saw. The error is a [journal.ContradictionError] if they are not
// of one history; the journal keeps the evidence.
func (x *Exchange) Compare(ctx context.Context) error {
	trust, err := x.cfg.Trust()
	if err != nil {
		return err
	}
	if err := x.Sign(ctx); err != nil {
		return err
	}
	peers := x.cfg.Peers()
	if len(peers) == 0 {
		return nil
	}
	return x.noticed(x.compareWith(ctx, peers[rand.IntN(len(peers))], trust))
}

// noticed tells, once, that somebody was shown another history.
func (x *Exchange) noticed(err error) error {
	if _, ok := errors.AsType[*journal.ContradictionError](err); ok && !x.told.Swap(true) {
		x.cfg.Log.Error("voters signed two histories, or one that is not ours: trust nobody's figures until it is known who lies (slapd ledger verify)", "err", err)
	}
	return err
}

// Sign vouches for what this peer holds, once it is durable, if that is more
// than what it vouched for last.
func (x *Exchange) Sign(ctx context.Context) error {
	trust, err := x.cfg.Trust()
	if err != nil || !x.cfg.Holds() {
		return err
	}
	return x.noticed(x.sign(ctx, trust.Origin))
}

func (x *Exchange) sign(ctx context.Context, origin string) error {
	x.signing.Lock()
	defer x.signing.Unlock()
	f := x.cfg.Journal.Frontier()
	if f.Size == 0 || f.Size == x.signed {
		return nil
	}
	if _, err := x.cfg.Journal.Sync(ctx); err != nil {
		return err
	}
	signed, err := journal.Sign(journal.Checkpoint{Origin: origin, Size: f.Size, Root: f.Root()}, x.cfg.Signer)
	if err != nil {
		return err
	}
	if err := x.cfg.Journal.Keep(signed, nil); err != nil {
		return err
	}
	x.signed = f.Size
	return nil
}

// compareWith asks one peer.
func (x *Exchange) compareWith(ctx context.Context, peer string, trust journal.Trust) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	text, err := x.get(ctx, peer, checkpointPath, journal.MaxCheckpoint)
	if err != nil || len(text) == 0 {
		return err
	}
	c, err := trust.Open(text)
	if err != nil {
		return fmt.Errorf("peer %s: %w", peer, err)
	}
	return x.cfg.Journal.Keep(c, func(old, size uint64) ([]journal.Hash, error) {
		return x.Prove(ctx, old, size, peer)
	})
}

// Prove asks peers, the given ones first, for the proof that the tree of size
// begins with that of old. It is to be checked.
func (x *Exchange) Prove(ctx context.Context, old, size uint64, first ...string) ([]journal.Hash, error) {
	keepers := x.cfg.Keepers()
	rand.Shuffle(len(keepers), func(i, k int) { keepers[i], keepers[k] = keepers[k], keepers[i] })
	asked := append(first, keepers...)
	err := errors.New("no peer that holds the ledger is known")
	for _, peer := range asked[:min(len(asked), askedPeers)] {
		var proof []journal.Hash
		if proof, err = x.askProof(ctx, peer, old, size); err == nil {
			return proof, nil
		}
	}
	return nil, fmt.Errorf("prove %d in %d: %w", old, size, err)
}
