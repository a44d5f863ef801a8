package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"

	"github.com/fxamacker/cbor/v2"

	"github.com/slapmesh/slapmesh/ledger/journal"
)

// Bounds on answers.
const (
	maxProof = 64 << 10
	maxChunk = 4 << 20
)

// get asks a peer. What is longer than most is an error.
func (x *Exchange) get(ctx context.Context, peer, path string, most int64) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+peer+path, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask peer %s: %w", peer, err)
	}
	resp, err := x.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("ask peer %s: %w", peer, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("ask peer %s: %w", peer, err)
	case resp.StatusCode == http.StatusNoContent:
		return nil, nil
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("ask peer %s: %s", peer, resp.Status)
	case int64(len(body)) > most:
		return nil, fmt.Errorf("ask peer %s: more than %d bytes", peer, most)
	}
	return body, nil
}

func (x *Exchange) askProof(ctx context.Context, peer string, old, size uint64) ([]journal.Hash, error) {
	data, err := x.get(ctx, peer, fmt.Sprintf("%s?old=%d&size=%d", proofPath, old, size), maxProof)
	if err != nil {
		return nil, err
	}
	var proof []journal.Hash
	if err := cbor.Unmarshal(data, &proof); err != nil {
		return nil, fmt.Errorf("proof of peer %s: %w", peer, err)
	}
	return proof, nil
}

// fill fetches what is missing, from any peer that has it. Only a history that
// is not ours is an error: everything else may work the next time.
func (x *Exchange) fill(ctx context.Context) error {
	from, to := x.cfg.Journal.Missing()
	if from == to || !x.cfg.Holds() {
		return nil
	}
	begin := from
	for from < to && ctx.Err() == nil {
		next, err := x.fillSome(ctx, from, to)
		if _, diverged := errors.AsType[*journal.DivergedError](err); diverged {
			return fmt.Errorf("history of this peer: %w", err)
		}
		if err != nil {
			x.cfg.Log.Debug("history not filled", "from", from, "to", to, "err", err)
			return nil
		}
		from = next
	}
	if from == to {
		x.cfg.Log.Info("history is complete", "fetched", to-begin)
	}
	return nil
}

// fillSome fetches one chunk.
func (x *Exchange) fillSome(ctx context.Context, from, to uint64) (next uint64, err error) {
	keepers := x.cfg.Keepers()
	err = errors.New("no other peer holds the ledger")
	for _, n := range rand.Perm(len(keepers)) {
		if next, err = x.fillFrom(ctx, keepers[n], from, to); err == nil {
			return next, nil
		}
		if _, diverged := errors.AsType[*journal.DivergedError](err); diverged {
			return 0, err
		}
	}
	return 0, err
}

func (x *Exchange) fillFrom(ctx context.Context, peer string, from, to uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	data, err := x.get(ctx, peer, fmt.Sprintf("%s?from=%d&to=%d", chunkPath, from, to), maxChunk)
	if err != nil {
		return 0, err
	}
	chunk, err := journal.ParseChunk(data)
	if err != nil {
		return 0, fmt.Errorf("chunk of peer %s: %w", peer, err)
	}
	return x.cfg.Journal.Fill(chunk)
}
