package placement

import (
	"fmt"
	"unicode/utf8"
)

// The bounds of an expression.
const (
	MaxFilter  = 4 << 10 // bytes
	MaxNesting = 32      // parentheses, nots and signs within one another
	MaxTerms   = 64      // names, numbers and texts
)

// ParseFilter reads an expression. What is wrong with it is a
// [*SyntaxError].
func ParseFilter(text string) (*Expr, error) {
	switch {
	case len(text) > MaxFilter:
		return nil, &SyntaxError{1, fmt.Sprintf("it has %d bytes, at most %d", len(text), MaxFilter)}
	case !utf8.ValidString(text):
		return nil, &SyntaxError{1, "it is not UTF-8"}
	}
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	p := parser{tokens: tokens}
	n, err := p.test(p.or)
	if err == nil && p.peek().kind != tokenEnd {
		err = p.unexpected("and, or, or the end")
	}
	if err != nil {
		return nil, err
	}
	e := &Expr{clauses: []*node{n}}
	if n.op == opAnd {
		e.clauses = n.kids
	}
	for _, c := range e.clauses {
		e.index(c)
	}
	return e, nil
}

// A parser descends over tokens, one method a rule of the grammar in
// DESIGN.md.
type parser struct {
	tokens []token
	at     int
	depth  int
	terms  int
}

func (p *parser) peek() token { return p.tokens[p.at] }

// next returns the next token and goes past it, but never past the end.
func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != tokenEnd {
		p.at++
	}
	return t
}

// take goes past a symbol or keyword if it is next.
func (p *parser) take(text string) bool {
	t := p.peek()
	if (t.kind == tokenSymbol || t.kind == tokenKeyword) && t.text == text {
		p.at++
		return true
	}
	return false
}

func (p *parser) fail(column int, format string, args ...any) error {
	return &SyntaxError{column, fmt.Sprintf(format, args...)}
}

func (p *parser) unexpected(expected string) error {
	t := p.peek()
	return p.fail(t.column, "found %v, expected %s", t, expected)
}

// deeper counts one level more while rule runs.
func (p *parser) deeper(rule func() (*node, error)) (*node, error) {
	if p.depth++; p.depth > MaxNesting {
		return nil, p.fail(p.peek().column, "nested more than %d deep", MaxNesting)
	}
	n, err := rule()
	p.depth--
	return n, err
}

// test parses by rule what must be true or false.
func (p *parser) test(rule func() (*node, error)) (*node, error) {
	column := p.peek().column
	n, err := rule()
	if err == nil {
		err = p.checkTest(n, column)
	}
	return n, err
}

// operand parses by rule what must be a number, or a label that may be one.
func (p *parser) operand(rule func() (*node, error)) (*node, error) {
	column := p.peek().column
	n, err := rule()
	if err == nil && (n.isTest() || kindOf(n) == isText) {
		return nil, p.fail(column, "%s is no number", cut(n.String()))
	}
	return n, err
}

func (p *parser) or() (*node, error)  { return p.list(opOr, p.and) }
func (p *parser) and() (*node, error) { return p.list(opAnd, p.not) }

// list parses one or more tests by rule, between which stands the keyword of
// o. A list in a list of the same kind becomes part of it.
func (p *parser) list(o op, rule func() (*node, error)) (*node, error) {
	column := p.peek().column
	n, err := rule()
	if err != nil || !p.take(symbols[o]) {
		return n, err
	}
	if err := p.checkTest(n, column); err != nil {
		return nil, err
	}
	list := (&node{op: o}).join(n)
	for {
		if n, err = p.test(rule); err != nil {
			return nil, err
		}
		if list.join(n); !p.take(symbols[o]) {
			return list, nil
		}
	}
}

// join adds one operand to a list.
func (n *node) join(kid *node) *node {
	if kid.op == n.op {
		n.kids = append(n.kids, kid.kids...)
	} else {
		n.kids = append(n.kids, kid)
	}
	return n
}

func (p *parser) not() (*node, error) {
	if !p.take("not") {
		return p.comparison()
	}
	n, err := p.deeper(func() (*node, error) { return p.test(p.not) })
	if err != nil {
		return nil, err
	}
	return &node{op: opNot, kids: []*node{n}}, nil
}

// comparison parses a comparison, a presence, or a value that is compared
// further out.
func (p *parser) comparison() (*node, error) {
	if p.take("has") {
		return p.has()
	}
	column := p.peek().column
	left, err := p.sum()
	if err != nil {
		return nil, err
	}
	t := p.peek()
	o, ok := p.comparator()
	switch {
	case !ok:
		return left, nil
	case left.isTest():
		return nil, p.fail(t.column, "comparisons do not chain: join them by and")
	}
	n := &node{op: o, kids: []*node{left}}
	if o == opIn || o == opNotIn {
		err = p.set(n)
	} else {
		err = p.right(n)
	}
	switch {
	case err != nil:
		return nil, err
	case !n.kids[0].hasName() && !n.kids[1].hasName():
		return nil, p.fail(column, "%s compares no fact or label of the computer", cut(n.String()))
	}
	if err := p.checkKinds(n, column); err != nil {
		return nil, err
	}
	if t := p.peek(); p.isComparator() {
		return nil, p.fail(t.column, "comparisons do not chain: join them by and")
	}
	return n, nil
}

func (p *parser) has() (*node, error) {
	switch t := p.peek(); t.kind {
	case tokenWord, tokenLabel:
		n, err := p.name(p.next())
		if err == nil {
			n.op = opHas
		}
		return n, err
	default:
		return nil, p.unexpected("a name")
	}
}

// isComparator reports whether a comparison operator is next.
func (p *parser) isComparator() bool {
	at := p.at
	_, ok := p.comparator()
	p.at = at
	return ok
}

// comparator goes past a comparison operator if one is next.
func (p *parser) comparator() (o op, ok bool) {
	for o := opEqual; o <= opIn; o++ {
		if p.take(symbols[o]) {
			return o, true
		}
	}
	if p.take("not") {
		if p.take("in") {
			return opNotIn, true
		}
		p.at--
	}
	return 0, false
}

// right parses the right side of comparison n. A word alone is a text there,
// if the left side is about the computer.
func (p *parser) right(n *node) error {
	if p.peek().kind == tokenWord && n.kids[0].hasName() && !p.arithmetic(p.tokens[p.at+1]) {
		right, err := p.text(p.next())
		n.kids = append(n.kids, right)
		return err
	}
	column := p.peek().column
	right, err := p.sum()
	if err == nil && right.isTest() {
		err = p.fail(column, "expected a value, found a comparison")
	}
	n.kids = append(n.kids, right)
	return err
}

// arithmetic reports whether t is an operator between numbers.
func (*parser) arithmetic(t token) bool {
	return t.kind == tokenSymbol && (t.text == "+" || t.text == "-" || t.text == "*" || t.text == "/" || t.text == "%")
}

// set parses the set that the left side of n is looked up in.
func (p *parser) set(n *node) error {
	if !p.take("[") {
		return p.unexpected("[")
	}
	for {
		literal, err := p.literal()
		if err != nil {
			return err
		}
		n.kids = append(n.kids, literal)
		switch {
		case p.take("]"):
			return nil
		case !p.take(","):
			return p.unexpected(", or ]")
		}
	}
}

func (p *parser) literal() (*node, error) {
	negative := p.take("-")
	switch t := p.peek(); {
	case t.kind == tokenNumber:
		n, err := p.number(p.next())
		if err == nil && negative {
			n = &node{op: opNegate, kids: []*node{n}}
		}
		return n, err
	case !negative && (t.kind == tokenWord || t.kind == tokenText):
		return p.text(p.next())
	case negative:
		return nil, p.unexpected("a number")
	}
	return nil, p.unexpected("a number or a text")
}

func (p *parser) sum() (*node, error)     { return p.chain(p.product, opAdd, opSubtract) }
func (p *parser) product() (*node, error) { return p.chain(p.signed, opMultiply, opDivide, opModulo) }

// chain parses operands by rule, between which stand some of ops.
func (p *parser) chain(rule func() (*node, error), ops ...op) (*node, error) {
	column := p.peek().column
	n, err := rule()
	for err == nil {
		o, ok := p.oneOf(ops)
		if !ok {
			break
		}
		if n.isTest() || kindOf(n) == isText {
			return nil, p.fail(column, "%s is no number", cut(n.String()))
		}
		var right *node
		at := p.peek().column
		if right, err = p.operand(rule); err == nil {
			n = &node{op: o, kids: []*node{n, right}}
			err = p.checkConstant(n, at)
		}
	}
	return n, err
}

func (p *parser) oneOf(ops []op) (op, bool) {
	for _, o := range ops {
		if p.take(symbols[o]) {
			return o, true
		}
	}
	return 0, false
}

func (p *parser) signed() (*node, error) {
	if !p.take("-") {
		return p.primary()
	}
	kid, err := p.deeper(func() (*node, error) { return p.operand(p.signed) })
	if err != nil {
		return nil, err
	}
	return &node{op: opNegate, kids: []*node{kid}}, nil
}

func (p *parser) primary() (*node, error) {
	switch t := p.peek(); {
	case t.kind == tokenNumber:
		return p.number(p.next())
	case t.kind == tokenText:
		return p.text(p.next())
	case t.kind == tokenWord || t.kind == tokenLabel:
		return p.name(p.next())
	case p.take("("):
		n, err := p.deeper(p.or)
		if err == nil && !p.take(")") {
			err = p.unexpected(")")
		}
		return n, err
	}
	return nil, p.unexpected("a name, a value, not, has or (")
}

func (p *parser) number(t token) (*node, error) { return p.term(t, &node{op: opNumber, n: t.number}) }

func (p *parser) text(t token) (*node, error) { return p.term(t, &node{op: opText, text: t.text}) }

func (p *parser) name(t token) (*node, error) {
	n := &node{op: opName, text: t.text}
	switch {
	case t.text == "":
		return nil, p.fail(t.column, "a label has a name")
	case t.kind == tokenWord:
		if n.name = nameOf(t.text); n.name != label {
			n.text = ""
		}
	}
	return p.term(t, n)
}

// term counts one more term.
func (p *parser) term(t token, n *node) (*node, error) {
	if p.terms++; p.terms > MaxTerms {
		return nil, p.fail(t.column, "more than %d names and values", MaxTerms)
	}
	return n, nil
}
