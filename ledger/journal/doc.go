// Package journal keeps the history of the ledger: every event in order, on
// disk, in a form that anybody can check and nobody can change unseen.
package journal
