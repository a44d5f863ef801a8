package exchange

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/fxamacker/cbor/v2"

	"github.com/slapmesh/slapmesh/ledger/journal"
)

// Paths of what a peer serves.
const (
	Prefix         = "/journal/v1/"
	checkpointPath = Prefix + "checkpoint"
	proofPath      = Prefix + "proof"
	chunkPath      = Prefix + "chunk"
)

// Handler serves other peers.
func (x *Exchange) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+checkpointPath, x.serveCheckpoint)
	mux.HandleFunc("GET "+proofPath, x.serveProof)
	mux.HandleFunc("GET "+chunkPath, x.serveChunk)
	return mux
}

func (x *Exchange) serveCheckpoint(w http.ResponseWriter, _ *http.Request) {
	kept, err := x.cfg.Journal.Checkpoints()
	if err != nil {
		x.fail(w, err)
		return
	}
	if len(kept) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(kept[len(kept)-1].Text) // whoever asked may be gone
}

func (x *Exchange) serveProof(w http.ResponseWriter, r *http.Request) {
	old, size, ok := numbers(w, r, "old", "size")
	if !ok {
		return
	}
	proof, err := x.cfg.Journal.ProveConsistency(old, size)
	if err != nil {
		x.fail(w, err)
		return
	}
	data, err := cbor.Marshal(proof)
	x.answer(w, data, err)
}

func (x *Exchange) serveChunk(w http.ResponseWriter, r *http.Request) {
	if !x.cfg.Replicates(r) {
		http.Error(w, "history is for peers that hold the ledger", http.StatusForbidden)
		return
	}
	from, to, ok := numbers(w, r, "from", "to")
	if !ok {
		return
	}
	chunk, err := x.cfg.Journal.Chunk(from, to)
	if err != nil {
		x.fail(w, err)
		return
	}
	data, err := chunk.Encode()
	x.answer(w, data, err)
}

func (x *Exchange) answer(w http.ResponseWriter, data []byte, err error) {
	if err != nil {
		x.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/cbor")
	_, _ = w.Write(data) // whoever asked may be gone
}

// fail answers that this peer cannot say: another one may.
func (x *Exchange) fail(w http.ResponseWriter, err error) {
	if _, damaged := errors.AsType[*journal.DamageError](err); damaged {
		x.cfg.Log.Error("history is damaged: run slapd ledger verify", "err", err)
	}
	http.Error(w, "not known here", http.StatusNotFound)
}

// numbers reads two numbers of a query.
func numbers(w http.ResponseWriter, r *http.Request, a, b string) (x, y uint64, ok bool) {
	q := r.URL.Query()
	x, errA := strconv.ParseUint(q.Get(a), 10, 63)
	y, errB := strconv.ParseUint(q.Get(b), 10, 63)
	if errA != nil || errB != nil || x > y {
		http.Error(w, fmt.Sprintf("%s and %s: two numbers expected, ascending", a, b), http.StatusBadRequest)
		return 0, 0, false
	}
	return x, y, true
}
