package placement

import (
	"strconv"
	"strings"
)

// An Expr is a filter that was written as an expression: see DESIGN.md for
// the language. It never changes. Use [ParseFilter].
type Expr struct {
	clauses []*node // all must hold

	// What the clauses say that equality decides: facts of which one must
	// hold, and names of which one must be the computer's.
	facts     [][]string
	computers [][]string

	// What they say that a computer has at least, free and in all.
	room, has Resources
}

// A node is an operator with its operands, or an operand.
type node struct {
	op   op
	kids []*node
	n    int64  // of opNumber
	text string // of opText; of opName and opHas, what is named
	name named  // of opName and opHas
}

// An op says what a node is.
type op int

const (
	opOr op = iota
	opAnd
	opNot
	opHas
	opEqual
	opUnequal
	opLess
	opLessEqual
	opMore
	opMoreEqual
	opIn    // the first kid in the others
	opNotIn // the same, negated
	opAdd
	opSubtract
	opMultiply
	opDivide
	opModulo
	opNegate
	opNumber
	opText
	opName
)

// symbols are how operators are written.
var symbols = [...]string{
	opOr: "or", opAnd: "and", opNot: "not", opHas: "has",
	opEqual: "=", opUnequal: "!=", opLess: "<", opLessEqual: "<=", opMore: ">", opMoreEqual: ">=", opIn: "in", opNotIn: "not in",
	opAdd: "+", opSubtract: "-", opMultiply: "*", opDivide: "/", opModulo: "%", opNegate: "-",
	opNumber: "", opText: "", opName: "",
}

// The levels at which operators bind, the loosest first.
const (
	levelOr = iota
	levelAnd
	levelNot
	levelTest
	levelSum
	levelProduct
	levelNegate
	levelOperand
)

func (o op) level() int {
	switch {
	case o == opOr:
		return levelOr
	case o == opAnd:
		return levelAnd
	case o == opNot:
		return levelNot
	case o <= opNotIn:
		return levelTest
	case o <= opSubtract:
		return levelSum
	case o <= opModulo:
		return levelProduct
	case o == opNegate:
		return levelNegate
	}
	return levelOperand
}

// isTest reports whether n is true or false, and not a value.
func (n *node) isTest() bool { return n.op <= opNotIn }

// hasName reports whether n, a value, depends on the computer.
func (n *node) hasName() bool {
	for _, kid := range n.kids {
		if kid.hasName() {
			return true
		}
	}
	return n.op == opName
}

// String returns the expression in its canonical form: what ParseFilter
// makes of it is equal.
func (e *Expr) String() string {
	var b strings.Builder
	for i, c := range e.clauses {
		if i > 0 {
			b.WriteString(" and ")
		}
		c.print(&b, levelNot)
	}
	if len(e.clauses) == 1 {
		b.Reset()
		e.clauses[0].print(&b, levelOr)
	}
	return b.String()
}

func (n *node) String() string {
	var b strings.Builder
	n.print(&b, levelOr)
	return b.String()
}

// print writes n, in parentheses if it binds looser than level.
func (n *node) print(b *strings.Builder, level int) {
	own := n.op.level()
	if own < level {
		b.WriteByte('(')
		defer b.WriteByte(')')
	}
	switch n.op {
	case opNumber:
		b.WriteString(strings.ReplaceAll(printNumber(n.n), " ", ""))
	case opText:
		b.WriteString(quote(n.text))
	case opName:
		b.WriteString(n.printName())
	case opHas:
		b.WriteString("has " + n.printName())
	case opNot:
		b.WriteString("not ")
		n.kids[0].print(b, levelNot)
	case opNegate:
		b.WriteByte('-')
		n.kids[0].print(b, levelNegate)
	case opIn, opNotIn:
		n.printSet(b)
	case opOr, opAnd:
		for i, kid := range n.kids {
			if i > 0 {
				b.WriteString(" " + symbols[n.op] + " ")
			}
			kid.print(b, own+1)
		}
	default:
		n.printPair(b, own)
	}
}

// printPair writes a comparison or a sum or product.
func (n *node) printPair(b *strings.Builder, own int) {
	left, right := n.kids[0], n.kids[1]
	level := own
	if n.op < opAdd {
		level = levelSum
	}
	left.print(b, level)
	b.WriteString(" " + symbols[n.op] + " ")
	if n.op < opAdd && right.op == opName && left.hasName() { // alone it would be a text
		b.WriteString("(" + right.printName() + ")")
		return
	}
	right.print(b, own+1)
}

func (n *node) printSet(b *strings.Builder) {
	n.kids[0].print(b, levelSum)
	b.WriteString(" " + symbols[n.op] + " [")
	for i, kid := range n.kids[1:] {
		if i > 0 {
			b.WriteString(", ")
		}
		kid.print(b, levelSum)
	}
	b.WriteByte(']')
}

func (n *node) printName() string {
	if n.name != label {
		return names[n.name]
	}
	if isWord(n.text) && nameOf(n.text) == label {
		return n.text
	}
	return "`" + n.text + "`"
}

// printNumber writes n in the largest unit without a rest: "8 GiB".
func printNumber(n int64) string {
	if n >= 1<<10 && n%(1<<10) == 0 {
		return FormatSize(n)
	}
	return strconv.FormatInt(n, 10)
}

func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// reason returns what it means that clause n does not hold.
func (e *Expr) reason(n int) Reason {
	c := e.clauses[n]
	switch {
	case c.op == opHas:
		return Reason{Text: "without " + cut(c.printName())}
	case c.op.level() != levelTest || c.kids[0].op != opName:
		return Reason{Text: "not as the filter wants", Wants: cut(c.String())}
	}
	left := c.kids[0].printName()
	wants := strings.TrimPrefix(c.String(), left+" ")
	if right := c.kids[1]; c.op == opEqual {
		if wants = strings.TrimPrefix(wants, "= "); right.op == opText {
			wants = right.text
		}
	}
	return Reason{Text: "wrong " + cut(left), Wants: cut(wants)}
}

// cut shortens text for a reason, at a whole character.
func cut(text string) string {
	const most = 120
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
