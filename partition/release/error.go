package release

import (
	"errors"
	"fmt"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// An Error is a fault in a profile, and where it is. Line and Col count from
// 1; they are 0 when the fault belongs to the file as a whole.
type Error struct {
	File    string
	Line    int
	Col     int
	Message string
	Hint    string // what was expected, or what to do; may be empty
	Source  string // the line itself; may be empty
}

// Error says all on one line.
func (e *Error) Error() string {
	if e.Hint == "" {
		return e.place() + e.Message
	}
	return e.place() + e.Message + " (" + e.Hint + ")"
}

func (e *Error) place() string {
	if e.Line == 0 {
		return e.File + ": "
	}
	return fmt.Sprintf("%s:%d:%d: ", e.File, e.Line, e.Col)
}

// Explain says the same over several lines, with the line of the profile and
// a caret under the place.
func (e *Error) Explain() string {
	var out strings.Builder
	out.WriteString(e.place() + e.Message + "\n")
	if e.Source != "" {
		out.WriteString("    " + e.Source + "\n    " + indent(e.Source, e.Col) + "^\n")
	}
	if e.Hint != "" {
		out.WriteString(e.Hint + "\n")
	}
	return out.String()
}

// indent returns blanks as wide as what stands before column col of line.
func indent(line string, col int) string {
	var out strings.Builder
	for n, r := range []rune(line) {
		switch {
		case n >= col-1:
			return out.String()
		case r == '\t':
			out.WriteByte('\t')
		default:
			out.WriteByte(' ')
		}
	}
	return out.String()
}

// A fault is what a built-in function found wrong. The place is added where
// the profile called it.
type fault struct{ message, hint string }

func (f *fault) Error() string { return f.message }

// faultf returns a fault without a hint.
func faultf(format string, args ...any) *fault {
	return &fault{message: fmt.Sprintf(format, args...)}
}

// expected adds what would have been right.
func (f *fault) expected(format string, args ...any) *fault {
	f.hint = "expected " + fmt.Sprintf(format, args...)
	return f
}

// locate turns an error of the Starlark interpreter into an [Error].
func (b *Bundle) locate(err error) error {
	if located, ok := errors.AsType[*Error](err); ok {
		return located
	}
	var (
		parse    syntax.Error
		resolved resolve.ErrorList
		eval     *starlark.EvalError
	)
	switch {
	case errors.As(err, &parse):
		return b.at(parse.Pos, parse.Msg, "")
	case errors.As(err, &resolved) && len(resolved) > 0:
		return b.at(resolved[0].Pos, resolved[0].Msg, hintFor(resolved[0].Msg))
	case errors.As(err, &eval):
		message, hint := eval.Msg, ""
		if found, ok := errors.AsType[*fault](err); ok {
			message, hint = found.message, found.hint
		} else {
			hint = hintFor(message)
		}
		return b.at(b.innermost(eval.CallStack), message, hint)
	}
	return &Error{File: Main, Message: err.Error()}
}

// hintFor explains refusals of the language itself.
func hintFor(message string) string {
	switch {
	case strings.Contains(message, "too many steps"):
		return fmt.Sprintf("a profile may take %d steps: it says what should be, it does not do it", maxSteps)
	case strings.Contains(message, "undefined: "):
		return "known names: " + strings.Join(builtinNames(), ", ")
	case strings.Contains(message, "called recursively"):
		return "recursion is not allowed, so that every profile ends"
	}
	return ""
}

// innermost returns the deepest place of a call stack that is in the bundle.
func (b *Bundle) innermost(stack starlark.CallStack) syntax.Position {
	for depth := range len(stack) {
		pos := stack.At(depth).Pos
		if _, ok := b.files[pos.Filename()]; ok && pos.Line > 0 {
			return pos
		}
	}
	return syntax.Position{}
}

// at returns the error at a place of the bundle.
func (b *Bundle) at(pos syntax.Position, message, hint string) *Error {
	e := &Error{File: Main, Message: message, Hint: hint}
	content, ok := b.files[pos.Filename()]
	if !ok || pos.Line < 1 {
		return e
	}
	e.File, e.Line, e.Col = pos.Filename(), int(pos.Line), int(pos.Col)
	if lines := strings.Split(string(content), "\n"); e.Line <= len(lines) {
		e.Source = strings.TrimRight(lines[e.Line-1], "\r")
	}
	return e
}
