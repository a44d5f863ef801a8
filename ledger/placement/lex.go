package placement

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// A SyntaxError says where an expression is wrong.
type SyntaxError struct {
	Column int // characters from the start, the first is 1
	Text   string
}

// Error returns such as "filter, column 12: found end, expected a value".
func (e *SyntaxError) Error() string { return fmt.Sprintf("filter, column %d: %s", e.Column, e.Text) }

// A token is a piece of an expression.
type token struct {
	kind   tokenKind
	text   string // without quotes
	number int64
	column int
}

type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenKeyword
	tokenNumber
	tokenText  // in quotes
	tokenLabel // in backquotes
	tokenSymbol
)

// String returns the token as an error message names it.
func (t token) String() string {
	switch t.kind {
	case tokenEnd:
		return "the end"
	case tokenText:
		return quote(cut(t.text))
	case tokenLabel:
		return "`" + cut(t.text) + "`"
	case tokenNumber:
		return strings.ReplaceAll(printNumber(t.number), " ", "")
	default:
		return cut(t.text)
	}
}

// units are what sizes are written in.
var units = []struct {
	name string
	size int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}}

// parseNumber reads digits with a unit or without.
func parseNumber(text string) (n int64, ok bool) {
	factor := int64(1)
	for _, u := range units {
		if digits, found := strings.CutSuffix(text, u.name); found {
			text, factor = digits, u.size
			break
		}
	}
	if text == "" {
		return 0, false
	}
	for _, c := range []byte(text) {
		if c < '0' || c > '9' || n > (math.MaxInt64-int64(c-'0'))/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if n > math.MaxInt64/factor {
		return 0, false
	}
	return n * factor, true
}

func isKeyword(word string) bool {
	return word == "and" || word == "or" || word == "not" || word == "in" || word == "has"
}

// inWord reports whether a word may contain c. Whatever is not ASCII may be
// in a word: tables of letters differ between versions of Unicode.
func inWord(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.' || c >= utf8.RuneSelf
}

// isWord reports whether text is one word that is no keyword and no number.
func isWord(text string) bool {
	size := wordSize(text)
	return size > 0 && size == len(text) && !isKeyword(text) && (text[0] < '0' || text[0] > '9')
}

// wordSize returns how many bytes of text are its first word. A minus sign
// is part of a word between two letters, but not after a number.
func wordSize(text string) int {
	for i, c := range text {
		if inWord(c) {
			continue
		}
		if c == '-' && i > 0 && i+1 < len(text) {
			next, _ := utf8.DecodeRuneInString(text[i+1:])
			if _, after := parseNumber(text[:i]); inWord(next) && !after && text[i-1] != '-' {
				continue
			}
		}
		return i
	}
	return len(text)
}

// hidden reports whether c does not show, or changes how what follows shows.
func hidden(c rune) bool {
	return c < ' ' || c >= 0x7f && c < 0xa0 || c == 0xad || c >= 0x200b && c <= 0x200f || c >= 0x2028 && c <= 0x202e ||
		c >= 0x2060 && c <= 0x206f || c == 0xfeff || c == 0xfffd
}

// lex splits an expression into tokens; an end is the last.
func lex(text string) (tokens []token, err error) {
	column := 1
	for i := 0; i < len(text); {
		c, _ := utf8.DecodeRuneInString(text[i:])
		size := 1
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			var t token
			if t, size, err = scan(text[i:], c); err != nil {
				return nil, &SyntaxError{column, err.Error()}
			}
			t.column = column
			tokens = append(tokens, t)
		}
		column += utf8.RuneCountInString(text[i : i+size])
		i += size
	}
	return append(tokens, token{kind: tokenEnd, column: column}), nil
}

// scan returns the token at the start of text, c being the first character.
func scan(text string, c rune) (t token, size int, err error) {
	switch {
	case hidden(c):
		return t, 0, fmt.Errorf("character U+%04X", c)
	case inWord(c):
		return scanWord(text)
	case c == '"' || c == '\'' || c == '`':
		return scanQuoted(text, byte(c))
	}
	for _, symbol := range []string{"==", "!=", "<=", ">=", "=", "<", ">", "(", ")", "[", "]", ",", "+", "-", "*", "/", "%"} {
		if strings.HasPrefix(text, symbol) {
			size = len(symbol)
			if symbol == "==" {
				symbol = "="
			}
			return token{kind: tokenSymbol, text: symbol}, size, nil
		}
	}
	return t, 0, fmt.Errorf("%q means nothing here", c)
}

func scanWord(text string) (t token, size int, err error) {
	size = wordSize(text)
	word := text[:size]
	for _, c := range word {
		if hidden(c) {
			return t, 0, fmt.Errorf("character U+%04X in a word", c)
		}
	}
	if n, ok := parseNumber(word); ok {
		return token{kind: tokenNumber, number: n}, size, nil
	}
	switch digits := strings.TrimLeft(word, "0123456789"); {
	case isKeyword(word):
		return token{kind: tokenKeyword, text: word}, size, nil
	case digits == "" || digits == "KiB" || digits == "MiB" || digits == "GiB" || digits == "TiB":
		if word != digits {
			return t, 0, fmt.Errorf("%s is too large", cut(word))
		}
	}
	if before, _, ok := strings.Cut(word, "-"); ok && nameOf(before).isNumber() {
		return t, 0, fmt.Errorf("%s is one word: write spaces round the minus sign", cut(word))
	}
	return token{kind: tokenWord, text: word}, size, nil
}

// scanQuoted reads up to the same quote. Between double and single quotes a
// backslash takes the next character as it is.
func scanQuoted(text string, mark byte) (t token, size int, err error) {
	var b strings.Builder
	escaped := false
	for i, c := range text[1:] {
		switch {
		case hidden(c):
			return t, 0, fmt.Errorf("character U+%04X between quotes", c)
		case !escaped && c == '\\' && mark != '`':
			escaped = true
			continue
		case !escaped && c == rune(mark):
			if t = (token{kind: tokenText, text: b.String()}); mark == '`' {
				t.kind = tokenLabel
			}
			return t, i + 2, nil
		}
		b.WriteRune(c)
		escaped = false
	}
	return t, 0, fmt.Errorf("%c is never closed", mark)
}
