package ledger

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Every name has its own type, so that an account cannot be passed where a
// peer is meant.
type (
	// An AccountName names who owns and who asks. It is chosen by an operator.
	AccountName string

	// A PeerID names a peer for life: it is the hash of its public key.
	PeerID string

	// A ComputerID names a computer. That of a peer is the peer's own id.
	ComputerID string

	// A TokenID names a token without giving it away. Its creator draws it.
	TokenID string

	// A Reference is an account's own name for an instance.
	Reference string

	// A ReleaseDigest names a software release: "sha256:" and the lower-case
	// hexadecimal hash of its profile's bytes.
	ReleaseDigest string

	// An InstanceID numbers instances in the order of their allocation, from 1.
	InstanceID uint64
)

// Bounds on what a command may carry. They protect the memory of every
// voter, so they are part of what is decided and change only with the rules
// version.
const (
	MaxName       = 64        // bytes of the name of an account, peer, release or type
	MaxReference  = 128       // bytes of a reference
	MaxLabels     = 32        // labels of a computer, clauses of a filter
	MaxLabel      = 128       // bytes of a label's key or value
	MaxParameters = 64 << 10  // bytes of the parameters of one instance, keys included
	MaxConnection = 64 << 10  // bytes of the connection parameters of one instance
	MaxAccounts   = 100_000   // accounts of the mesh
	MaxProfile    = 1 << 20   // bytes of a profile
	MaxProfiles   = 256 << 20 // bytes of all profiles together
	MaxSchema     = 256 << 10 // bytes of a parameter schema
	MaxPartitions = 10_000    // partitions of one computer
	MaxReason     = 1 << 10   // bytes of a reason or of a progress
	MaxReports    = 1_000     // entries of one report
	MaxTokens     = 1_000     // tokens of one account
	MaxPublicKey  = 64        // bytes of a public key
	MaxEvents     = 4_096     // recent events that are kept
	MaxDestroyed  = 4_096     // destroyed instances that are still shown
	MaxMarked     = 10_000    // computers in one MarkComputers
	MaxTypes      = 64        // types of one release
	MaxPorts      = 64        // named ports of one instance
	MaxAvoid      = 64        // computers that a request avoids
	MaxTreeDepth  = 8         // instances on the way from a root down, itself included
	MaxTree       = 1_000     // instances below a root
	MaxNear       = 32        // instances that one is near to, or apart from
	MaxShared     = 1_000     // shared instances inside one
	MaxHostsTried = 1_000     // hosts that are tried for a shared instance
	MaxHostsLook  = 10_000    // instances of an account among which they are looked for
	MaxKeep       = 366 * 24 * time.Hour
	keptTokenDays = 7         // days that a dead token is kept, for retries
	digestPrefix  = "sha256:" // of a ReleaseDigest
	digestBytes   = 32        // of every digest
	secretBytes   = 32        // of the journal's secret
)

// String returns the id in decimal, as events and errors show it.
func (id InstanceID) String() string { return fmt.Sprintf("i%d", uint64(id)) }

// checkName refuses a name that is empty, longer than most, or that a reader
// could not tell from another: only printable characters, and no space at
// either end.
func checkName(what, name string, most int) error {
	switch {
	case name == "":
		return refuse(ErrInvalid, "%s: required", what)
	case len(name) > most:
		return refuse(ErrInvalid, "%s %.20q…: %d bytes, at most %d", what, name, len(name), most)
	case !printable(name) || strings.TrimSpace(name) != name:
		return refuse(ErrInvalid, "%s %q: only printable characters, no space at either end", what, name)
	}
	return nil
}

// checkWord refuses what could not stand unquoted in a URL or a shell:
// lower-case letters, digits, dot, dash and underscore are allowed.
func checkWord(what, word string, most int) error {
	if err := checkName(what, word, most); err != nil {
		return err
	}
	for i, r := range word {
		letter := r >= 'a' && r <= 'z' || r >= '0' && r <= '9'
		if !letter && (i == 0 || !strings.ContainsRune("._-", r)) {
			return refuse(ErrInvalid, "%s %q: lower-case letters, digits, and . _ - inside", what, word)
		}
	}
	return nil
}

// checkText refuses text that is too long or not printable. Line breaks are
// allowed: a reason may be the tail of a log.
func checkText(what, text string, most int) error {
	if len(text) > most {
		return refuse(ErrInvalid, "%s: %d bytes, at most %d", what, len(text), most)
	}
	if !utf8.ValidString(text) {
		return refuse(ErrInvalid, "%s: not UTF-8", what)
	}
	return nil
}

func printable(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// checkPeer refuses what cannot be the id of a peer. How an id is derived
// from a key is package mesh's business.
func checkPeer(id PeerID) error { return checkWord("peer", string(id), MaxName) }

// checkDigest refuses what cannot be the digest of a release.
func checkDigest(d ReleaseDigest) error {
	text, ok := strings.CutPrefix(string(d), digestPrefix)
	raw, err := hex.DecodeString(text)
	if !ok || err != nil || len(raw) != digestBytes || strings.ToLower(text) != text {
		return refuse(ErrInvalid, "release %.80q: not a digest (sha256: and 64 hexadecimal digits)", string(d))
	}
	return nil
}

// checkLabels refuses labels or filters that are too many, too long or not
// printable.
func checkLabels(what string, labels map[string]string) error {
	if len(labels) > MaxLabels {
		return refuse(ErrInvalid, "%s: %d of them, at most %d", what, len(labels), MaxLabels)
	}
	for _, k := range sortedKeys(labels) {
		if err := checkWord(what, k, MaxLabel); err != nil {
			return err
		}
		if err := checkName(what+" "+k, labels[k], MaxLabel); err != nil {
			return err
		}
	}
	return nil
}
