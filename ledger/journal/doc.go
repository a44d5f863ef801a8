// Package journal keeps the history of the ledger: every event in order, on
// disk, in a form that anybody can check and nobody can change unseen.
package journal

import (
	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

var (
	_ *pebble.DB
	_ note.Signer
	_ tlog.Hash
)
