package placement

import "math"

// named says what a name means.
type named int

const (
	label named = iota // of the computer
	nameComputer
	nameName
	nameOwner
	nameGrade
	nameArch
	nameCores
	nameMillicores
	nameMemory
	nameDisk
	nameCoresFree
	nameMemoryFree
	nameDiskFree
	namePartitionsFree
	namePrice
)

// names are the built-in facts. Those from cores on are numbers.
var names = [...]string{
	label: "", nameComputer: "computer", nameName: "name", nameOwner: "owner", nameGrade: "grade", nameArch: "arch",
	nameCores: "cores", nameMillicores: "millicores", nameMemory: "memory", nameDisk: "disk",
	nameCoresFree: "cores_free", nameMemoryFree: "memory_free", nameDiskFree: "disk_free",
	namePartitionsFree: "partitions_free", namePrice: "price",
}

// nameOf returns the built-in fact of that name, or label.
func nameOf(word string) named {
	for n, name := range names {
		if name == word && word != "" {
			return named(n)
		}
	}
	return label
}

func (n named) isNumber() bool { return n >= nameCores }

// A value is a number, a text, or nothing: what a computer does not say.
type value struct {
	kind   valueKind
	number int64
	text   string
	alias  string // of the computer: equal to it as well
}

type valueKind int

const (
	nothing valueKind = iota
	isNumber
	isText
)

func number(n int64) value { return value{kind: isNumber, number: n} }

// kindOf returns what the value n is: nothing if it is a label, which may be
// either.
func kindOf(n *node) valueKind {
	switch {
	case n.op == opText:
		return isText
	case n.op != opName || n.name.isNumber():
		return isNumber
	case n.name != label:
		return isText
	}
	return nothing
}

// asNumber reads the text of a label as a number, if it is one.
func (v value) asNumber() (int64, bool) {
	switch v.kind {
	case isNumber:
		return v.number, true
	case isText:
		digits, negative := v.text, false
		if digits != "" && digits[0] == '-' {
			digits, negative = digits[1:], true
		}
		n, ok := parseNumber(digits)
		if negative {
			n = -n
		}
		return n, ok
	case nothing:
	}
	return 0, false
}

// Eval reports whether e holds for c as w finds it, and if not, why. The
// price is that of w, which may be nil.
func (e *Expr) Eval(c *Candidate, w *Want) (bool, *Reason) {
	n, fault := e.firstFalse(c, w)
	switch {
	case fault != fine:
		return false, &Reason{Text: causes[fault], Count: 1}
	case n >= 0:
		r := e.reason(n)
		r.Count = 1
		return false, &r
	}
	return true, nil
}

// firstFalse returns the first clause that does not hold, or -1; or what
// went wrong before that.
func (e *Expr) firstFalse(c *Candidate, w *Want) (clause int, fault cause) {
	s := subject{c, w}
	for n, test := range e.clauses {
		switch ok, fault := s.test(test); {
		case fault != fine:
			return -1, fault
		case !ok:
			return n, fine
		}
	}
	return -1, fine
}

// A subject is what an expression is about.
type subject struct {
	*Candidate
	want *Want
}

// test reports whether n holds. Operands are looked at from left to right,
// and no further than needed.
func (s subject) test(n *node) (holds bool, fault cause) {
	switch n.op {
	case opOr, opAnd:
		for _, kid := range n.kids {
			if holds, fault = s.test(kid); fault != fine || holds == (n.op == opOr) {
				break
			}
		}
		return holds, fault
	case opNot:
		holds, fault = s.test(n.kids[0])
		return !holds, fault
	case opHas:
		return s.lookUp(n).kind != nothing, fine
	default: // compares
	}
	left, fault := s.value(n.kids[0])
	if fault != fine {
		return false, fault
	}
	if n.op == opIn || n.op == opNotIn {
		for _, kid := range n.kids[1:] {
			right, _ := s.value(kid) // a literal
			if compareValues(opEqual, left, right) {
				return n.op == opIn, fine
			}
		}
		return n.op == opNotIn, fine
	}
	right, fault := s.value(n.kids[1])
	if n.op == opUnequal {
		return !compareValues(opEqual, left, right), fault
	}
	return compareValues(n.op, left, right), fault
}

// compareValues compares numbers if one side is a number, and otherwise
// texts by their bytes. Nothing compares with nothing; nor does a text that
// is no number with a number.
func compareValues(o op, a, b value) bool {
	if a.kind == nothing || b.kind == nothing {
		return false
	}
	less, equal := a.text < b.text, a.text == b.text
	if a.kind == isNumber || b.kind == isNumber {
		x, xok := a.asNumber()
		y, yok := b.asNumber()
		if !xok || !yok {
			return false
		}
		less, equal = x < y, x == y
	}
	switch o {
	case opEqual:
		return equal || a.alias != "" && a.alias == b.text || b.alias != "" && b.alias == a.text
	case opLess:
		return less
	case opLessEqual:
		return less || equal
	case opMore:
		return !less && !equal
	default:
		return !less
	}
}

// value computes n. What depends on nothing is nothing.
func (s subject) value(n *node) (value, cause) {
	switch n.op {
	case opNumber:
		return number(n.n), fine
	case opText:
		return value{kind: isText, text: n.text}, fine
	case opName:
		return s.lookUp(n), fine
	default: // computes
	}
	var operands [2]int64
	known := true
	for i, kid := range n.kids {
		v, fault := s.value(kid)
		if fault != fine {
			return value{}, fault
		}
		var ok bool
		operands[i], ok = v.asNumber()
		known = known && ok
	}
	if !known {
		return value{}, fine
	}
	result, fault := compute(n.op, operands[0], operands[1])
	return number(result), fault
}

// compute does integer arithmetic: division truncates, and the remainder has
// the sign of a.
func compute(o op, a, b int64) (int64, cause) {
	var result int64
	var exact bool
	switch o {
	case opNegate:
		result, exact = -a, a != math.MinInt64
	case opAdd:
		result = a + b
		exact = (result > a) == (b > 0)
	case opSubtract:
		result = a - b
		exact = (result < a) == (b > 0)
	case opMultiply:
		result = a * b
		exact = a == 0 || result/a == b && (a != -1 || b != math.MinInt64)
	default:
		if b == 0 {
			return 0, divides
		}
		if exact = a != math.MinInt64 || b != -1; o == opDivide {
			result = a / b
		} else {
			result = a % b
		}
	}
	if !exact {
		return 0, overflows
	}
	return result, fine
}

// lookUp returns what the computer says of a name. Zero cores, memory and
// disk are nothing: it did not say.
func (s subject) lookUp(n *node) value {
	text := func(text string) value {
		if text == "" {
			return value{}
		}
		return value{kind: isText, text: text}
	}
	known := func(n, of int64) value {
		if of == 0 {
			return value{}
		}
		return number(n)
	}
	switch room := s.Capacity.less(s.Reserved); n.name {
	case nameComputer:
		return value{isText, 0, s.ID, s.Name}
	case nameName:
		return text(s.Name)
	case nameOwner:
		return text(s.Owner)
	case nameGrade:
		return text(s.Grade)
	case nameArch:
		return text(s.Arch)
	case nameCores:
		return known(s.Capacity.Cores/1000, s.Capacity.Cores)
	case nameMillicores:
		return known(s.Capacity.Cores, s.Capacity.Cores)
	case nameMemory:
		return known(s.Capacity.Memory, s.Capacity.Memory)
	case nameDisk:
		return known(s.Capacity.Disk, s.Capacity.Disk)
	case nameCoresFree:
		return known(room.Cores/1000, s.Capacity.Cores)
	case nameMemoryFree:
		return known(room.Memory, s.Capacity.Memory)
	case nameDiskFree:
		return known(room.Disk, s.Capacity.Disk)
	case namePartitionsFree:
		return number(int64(s.Free))
	case namePrice:
		return number(s.Price(s.want))
	case label:
	}
	v, ok := s.Labels[n.text]
	if !ok {
		return value{}
	}
	return value{kind: isText, text: v}
}
