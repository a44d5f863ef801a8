package meter

import (
	"math"
	"math/big"
	"math/bits"
	"time"
)

// An area is what lies below the line from one sample to the next, exactly:
// twice the bytes times the nanoseconds, in 128 bits. Doubled, the mean of two
// integers is an integer.
type area struct {
	Hi uint64 `cbor:"1,keyasint,omitempty"`
	Lo uint64 `cbor:"2,keyasint,omitempty"`
}

// byteSecond is one byte-second as an area.
const byteSecond = 2 * uint64(time.Second)

// trapezoid returns the area below a line that goes from a to b, at most
// maxGauge each, in the time d.
func trapezoid(a, b uint64, d time.Duration) area {
	if d <= 0 {
		return area{}
	}
	hi, lo := bits.Mul64(a+b, uint64(d))
	return area{hi, lo}
}

func (a area) plus(b area) area {
	lo, carry := bits.Add64(a.Lo, b.Lo, 0)
	hi, over := bits.Add64(a.Hi, b.Hi, carry)
	if over != 0 {
		return area{math.MaxUint64, math.MaxUint64}
	}
	return area{hi, lo}
}

func (a area) minus(b area) area {
	lo, borrow := bits.Sub64(a.Lo, b.Lo, 0)
	hi, _ := bits.Sub64(a.Hi, b.Hi, borrow)
	return area{hi, lo}
}

// byteSeconds returns the whole byte-seconds of the area, and what is left.
func (a area) byteSeconds() (whole uint64, rest area) {
	if a.Hi >= byteSecond { // more than a report can say: the rest is for the next
		hi, lo := bits.Mul64(math.MaxUint64, byteSecond)
		return math.MaxUint64, a.minus(area{hi, lo})
	}
	whole, left := bits.Div64(a.Hi, a.Lo, byteSecond)
	return whole, area{0, left}
}

// share returns num/den of the area, rounded down; num is at most den.
func (a area) share(num, den uint64) area {
	n := new(big.Int).SetUint64(a.Hi)
	n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(a.Lo))
	n.Mul(n, new(big.Int).SetUint64(num)).Div(n, new(big.Int).SetUint64(den))
	lo := new(big.Int).And(n, new(big.Int).SetUint64(math.MaxUint64)).Uint64()
	return area{n.Rsh(n, 64).Uint64(), lo}
}

// share returns num/den of n, rounded down; num is at most den.
func share(n, num, den uint64) uint64 {
	hi, lo := bits.Mul64(n, num)
	if hi >= den {
		return n // num is den, or den is zero
	}
	q, _ := bits.Div64(hi, lo, den)
	return q
}

// plus adds without wrapping round.
func plus(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	if carry != 0 {
		return math.MaxUint64
	}
	return sum
}

// minus subtracts, down to zero.
func minus(a, b uint64) uint64 { return a - min(a, b) }
