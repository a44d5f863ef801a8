package protocol

import (
	"context"
	"io"
	"iter"
	"time"
)

// History is about the record of all that was decided, which anybody can
// check.
type History interface {
	// VerifyHistory checks everything that the asked peer knows of history,
	// and yields how far it is; the last value is done. The sequence ends
	// after that, or when ctx is done; an error is yielded once, at the end.
	VerifyHistory(ctx context.Context) iter.Seq2[Verification, error]

	// ExportHistory writes out history in a format. What a caller may not see
	// is left out; the proven form is for operators, who see all. The caller
	// closes it.
	ExportHistory(ctx context.Context, in ExportInput) (io.ReadCloser, error)

	// HistoryEntry returns one entry with the proof that signed history holds
	// it, which the asked peer has checked.
	HistoryEntry(ctx context.Context, n uint64) (HistoryEntry, error)

	// HistoryKeys returns whose signatures count, to check an export without
	// the mesh.
	HistoryKeys(ctx context.Context) (HistoryKeys, error)

	// Invoice tells what an account had, paid and got in a period.
	Invoice(ctx context.Context, in InvoiceInput) (Invoice, error)
}

// The formats of an export.
const (
	FormatProof     = "proof"     // all entries with what proves them
	FormatJSON      = "json"      // one array, an entry on each line
	FormatCSV       = "csv"       // a row for each posting
	FormatLedger    = "ledger"    // for ledger and hledger
	FormatBeancount = "beancount" // for beancount
)

// Formats lists the formats of an export.
func Formats() []string {
	return []string{FormatProof, FormatJSON, FormatCSV, FormatLedger, FormatBeancount}
}

// A Verification says what was checked of history, and what was found.
type Verification struct {
	Peer    string `json:"peer_id" doc:"who checked"`
	Done    bool   `json:"done" doc:"false while it goes on"`
	Checked uint64 `json:"checked" doc:"entries so far"`
	Total   uint64 `json:"total"`

	Size        uint64   `json:"size" doc:"entries of the history"`
	Root        string   `json:"root" doc:"hash of all entries, base64"`
	MissingFrom uint64   `json:"missing_from" doc:"entries that this peer does not have: from this one"`
	MissingTo   uint64   `json:"missing_to" doc:"to before this one; the same if none is missing"`
	Checkpoints int      `json:"checkpoints" doc:"signed ones that agree with all of it"`
	Ahead       int      `json:"ahead" doc:"signed ones of more than this peer has"`
	Proven      uint64   `json:"proven" doc:"entries before this one are what a signed checkpoint says"`
	Balances    int      `json:"balances" doc:"accounts whose entries add up to what the ledger says; none where entries are missing"`
	Conflicts   []string `json:"contradictions" doc:"what was signed of other histories; any is a crime"`
}

// An ExportInput says what to export.
type ExportInput struct {
	Format  string    `json:"format" enum:"proof,json,csv,ledger,beancount"`
	Account string    `json:"account,omitempty" doc:"only what concerns it; all that the caller may see if empty"`
	From    time.Time `json:"from,omitzero" doc:"entries from this moment on"`
	Until   time.Time `json:"until,omitzero" doc:"and before this one"`
}

// A HistoryEntry is an entry of history and what proves it.
type HistoryEntry struct {
	Entry      uint64            `json:"entry"`
	Index      uint64            `json:"log_index"`
	At         time.Time         `json:"at"`
	Kind       string            `json:"kind"`
	Principal  string            `json:"principal" doc:"who asked"`
	Account    string            `json:"account"`
	Instance   string            `json:"instance"`
	Computer   string            `json:"computer"`
	Postings   []HistoryPosting  `json:"postings"`
	Used       map[string]uint64 `json:"used"`
	Leaf       string            `json:"leaf" doc:"its one byte form, base64"`
	Proof      []string          `json:"proof" doc:"hashes of RFC 6962, base64: that the tree of the checkpoint has the leaf"`
	Checkpoint string            `json:"checkpoint" doc:"a signed note"`
	Size       uint64            `json:"size" doc:"entries that the checkpoint vouches for"`
	Signers    []string          `json:"signers" doc:"peers that signed it"`
}

// A HistoryPosting changes the balance of an account.
type HistoryPosting struct {
	Account string `json:"account"`
	Amount  string `json:"amount"`
}

// HistoryKeys are what is needed to believe a checkpoint.
type HistoryKeys struct {
	Origin string   `json:"origin" doc:"the name of this history"`
	Keys   []string `json:"keys" doc:"of all peers that ever kept it, as golang.org/x/mod/sumdb/note writes them"`
}

// An InvoiceInput asks for an invoice.
type InvoiceInput struct {
	Account string    `json:"account,omitempty" doc:"the caller's own if empty"`
	From    time.Time `json:"from,omitzero" doc:"what was billed from this moment on; from the beginning if missing"`
	Until   time.Time `json:"until,omitzero" doc:"and before this one; to the last entry if missing"`
	Tree    string    `json:"tree,omitempty" doc:"only instances of the tree with this root, by reference"`
}

// An Invoice is what an account had, paid and got in a period.
type Invoice struct {
	Account  string           `json:"account"`
	From     *time.Time       `json:"from"`
	Until    *time.Time       `json:"until"`
	Opening  string           `json:"opening" doc:"the balance when the period begins"`
	Closing  string           `json:"closing" doc:"and when it ends"`
	Paid     string           `json:"paid" doc:"for instances"`
	Earned   string           `json:"earned" doc:"from instances of others"`
	Lines    []InvoiceLine    `json:"lines"`
	Payments []InvoicePayment `json:"payments" doc:"for no instance"`
}

// An InvoiceLine is what one instance used and cost.
type InvoiceLine struct {
	Instance  string            `json:"instance" doc:"id in the ledger"`
	Reference string            `json:"reference" doc:"empty if it was destroyed long ago"`
	Tree      string            `json:"tree" doc:"the reference of its root, for one that another instance requested"`
	Release   string            `json:"release"`
	Computer  string            `json:"computer"`
	Payer     string            `json:"payer"`
	First     time.Time         `json:"first" doc:"billed first in this period"`
	Last      time.Time         `json:"last"`
	Used      map[string]uint64 `json:"used" doc:"how much of each unit, such as core-nanoseconds"`
	Amount    string            `json:"amount" doc:"that the account paid, or, if another one pays, got"`
}

// An InvoicePayment is money that came or went for no instance.
type InvoicePayment struct {
	Entry  uint64    `json:"entry" doc:"its number in history"`
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"`
	Amount string    `json:"amount" doc:"negative if the account paid"`
	Other  []string  `json:"other" doc:"the accounts on the other side"`
}

// Filled returns v with empty lists in place of missing ones.
func (v Verification) Filled() Verification {
	v.Conflicts = list(v.Conflicts)
	return v
}

// Filled returns v with empty lists in place of missing ones.
func (v Invoice) Filled() Invoice {
	v.Lines, v.Payments = list(v.Lines), list(v.Payments)
	return v
}

// Filled returns k with an empty list in place of a missing one.
func (k HistoryKeys) Filled() HistoryKeys {
	k.Keys = list(k.Keys)
	return k
}

// Filled returns e with empty lists in place of missing ones.
func (e HistoryEntry) Filled() HistoryEntry {
	e.Postings, e.Used, e.Proof, e.Signers = list(e.Postings), table(e.Used), list(e.Proof), list(e.Signers)
	return e
}
