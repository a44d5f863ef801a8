package plaintext

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The accounts that are nobody's wallet, as package ledger names them.
const (
	mintAccount = "@mint" // where credits come from: it owes them all
	meshAccount = "@mesh" // what the mesh keeps
)

// Account returns the name that an account has in this format. Different
// accounts have different names.
//
// In [JSON] it is the account's own, in [CSV] too but for the guard that
// DESIGN.md tells of. In [Ledger] a wallet is "Assets:Wallets:" and the name,
// in which letters, digits, single spaces and - _ . @ + stand for themselves
// and all else is %XX, byte by byte, as in a URL. In [Beancount] it is
// "Assets:Wallet-" and the name, in which plain letters, digits and single
// dashes stand for themselves and all else is --HEX-, the code point.
func (f Format) Account(name string) string {
	wallet, escaped := "", ""
	switch f {
	case CSV:
		return guard(name)
	case Ledger:
		wallet, escaped = "Assets:Wallets:", percent(name)
	case Beancount:
		wallet, escaped = "Assets:Wallet-", dashed(name)
	case JSON:
		return name
	default:
		return name
	}
	switch name {
	case mintAccount:
		return "Equity:Mint"
	case meshAccount:
		return "Assets:Mesh"
	}
	return wallet + escaped
}

// percent writes what could end a name, begin a comment or mean something to
// ledger or hledger as %XX.
func percent(text string) string {
	var b strings.Builder
	space := true // at the beginning none may stand
	for i, r := range text {
		size := utf8.RuneLen(r)
		if r == utf8.RuneError {
			_, size = utf8.DecodeRuneInString(text[i:])
		}
		plain := r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r) || strings.ContainsRune("-_.@+", r))
		if r == ' ' && !space && i+1 < len(text) {
			plain = true
		}
		if space = plain && r == ' '; plain {
			b.WriteRune(r)
			continue
		}
		for _, c := range []byte(text[i : i+size]) {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// dashed writes what an account of beancount may not contain as --HEX-. A
// dash stands for itself if no dash follows in the result. So who reads from
// the left knows at each place what it is, and no two texts become one.
func dashed(text string) string {
	var b strings.Builder
	runes := []rune(text)
	for i, r := range runes {
		alone := r == '-' && (i+1 == len(runes) || beanLetter(runes[i+1]))
		if alone || beanLetter(r) {
			b.WriteRune(r)
			continue
		}
		fmt.Fprintf(&b, "--%02X-", r)
	}
	return b.String()
}

// beanRanges are the letters and digits that beancount takes in accounts.
// Its table of letters is that of an old Unicode, and lacks most of Han; so
// these are listed, and stay: a name must not change with a version of Go.
var beanRanges = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: '0', Hi: '9', Stride: 1},
		{Lo: 'A', Hi: 'Z', Stride: 1},
		{Lo: 'a', Hi: 'z', Stride: 1},
		{Lo: 0x00c0, Hi: 0x00d6, Stride: 1}, // Latin
		{Lo: 0x00d8, Hi: 0x00f6, Stride: 1},
		{Lo: 0x00f8, Hi: 0x024f, Stride: 1},
		{Lo: 0x0388, Hi: 0x038a, Stride: 1}, // Greek
		{Lo: 0x038e, Hi: 0x03a1, Stride: 1},
		{Lo: 0x03a3, Hi: 0x03ce, Stride: 1},
		{Lo: 0x0400, Hi: 0x0481, Stride: 1}, // Cyrillic
		{Lo: 0x048a, Hi: 0x0523, Stride: 1},
		{Lo: 0x05d0, Hi: 0x05ea, Stride: 1}, // Hebrew
		{Lo: 0x0621, Hi: 0x063a, Stride: 1}, // Arabic
		{Lo: 0x0641, Hi: 0x064a, Stride: 1},
		{Lo: 0x3041, Hi: 0x3096, Stride: 1}, // Japanese
		{Lo: 0x30a1, Hi: 0x30fa, Stride: 1},
	},
	LatinOffset: 5,
}

func beanLetter(r rune) bool { return unicode.Is(beanRanges, r) }
