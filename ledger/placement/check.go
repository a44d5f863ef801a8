package placement

import "fmt"

// checkTest refuses n if it is neither true nor false.
func (p *parser) checkTest(n *node, column int) error {
	switch {
	case n.isTest():
		return nil
	case n.op == opName:
		name := cut(n.printName())
		return p.fail(column, "%s alone says nothing: compare it, or ask whether it is known: has %s", name, name)
	}
	return p.fail(column, "%s is a value: expected a comparison", cut(n.String()))
}

// checkKinds makes sure that the sides of a comparison can be equal.
func (p *parser) checkKinds(n *node, column int) error {
	left := n.kids[0]
	for _, right := range n.kids[1:] {
		a, b := kindOf(left), kindOf(right)
		if a == nothing || b == nothing || a == b {
			continue
		}
		text, no := left, right
		if a == isNumber {
			text, no = right, left
		}
		hint := ""
		switch {
		case text.op == opText && nameOf(text.text).isNumber():
			hint = fmt.Sprintf("; the fact is written (%s)", text.text)
		case text.op == opText:
			hint = "; sizes end in KiB, MiB, GiB or TiB"
		case no.op == opNumber:
			hint = "; put it in quotes"
		}
		return p.fail(column, "%s is a text and %s is a number%s", cut(text.String()), cut(no.String()), hint)
	}
	return nil
}

// checkConstant refuses what must fail on every computer.
func (p *parser) checkConstant(n *node, column int) error {
	right := n.kids[len(n.kids)-1]
	if !right.hasName() && (n.op == opDivide || n.op == opModulo) {
		if v, _ := (subject{}).value(right); v.number == 0 {
			return p.fail(column, "%s divides by zero", cut(n.String()))
		}
	}
	if !n.hasName() {
		if _, fault := (subject{}).value(n); fault != fine {
			return p.fail(column, "%s overflows", cut(n.String()))
		}
	}
	return nil
}
