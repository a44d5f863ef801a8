package ledger

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"
	"net/netip" //nolint:depguard // addresses are values; nothing here touches a network
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Who starts with a million instances reads all of their rows, and needs of
// each but what the indexes hold. Reading a row in full makes some forty values
// that are forgotten at once, which costs more than everything else together.
// So a row is skimmed: all of it is checked against the type that it will be
// read as, and a few fields are taken.

// A shape is what CBOR must look like to be read as a type. It accepts nothing
// that decode refuses, and not all that decode accepts: only what encode makes.
type shape struct {
	kind   shapeKind
	most   uint64   // a number's highest
	key    *shape   // of a map
	elem   *shape   // of a list or a map
	fields []*field // of a struct, by number; nil where there is none
}

type shapeKind uint8

const (
	shapeUint shapeKind = iota
	shapeInt
	shapeBool
	shapeText
	shapeBytes
	shapeTime
	shapeAddress
	shapeList
	shapeMap
	shapeStruct
)

// A field is one of a struct, with where that has it.
type field struct {
	shape
	at     int
	wanted bool
}

// shapeOf returns the shape of V, of which the named fields are wanted. It
// panics for a type that no row that is skimmed may hold.
func shapeOf[V any](wanted ...string) *shape {
	s := newShape(reflect.TypeFor[V](), true)
	for _, name := range wanted {
		f, ok := reflect.TypeFor[V]().FieldByName(name)
		if !ok {
			panic("ledger: there is no field " + name)
		}
		s.fields[fieldNumber(f)].wanted = true
	}
	return &s
}

func newShape(t reflect.Type, top bool) shape {
	switch t {
	case reflect.TypeFor[time.Time]():
		return shape{kind: shapeTime}
	case reflect.TypeFor[netip.Addr]():
		return shape{kind: shapeAddress}
	}
	sub := func(t reflect.Type) *shape {
		s := newShape(t, false)
		return &s
	}
	switch t.Kind() {
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uint:
		return shape{kind: shapeUint, most: math.MaxUint64 >> (64 - t.Bits())}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return shape{kind: shapeInt, most: math.MaxInt64 >> (64 - t.Bits())}
	case reflect.Bool:
		return shape{kind: shapeBool}
	case reflect.String:
		return shape{kind: shapeText}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return shape{kind: shapeBytes}
		}
		return shape{kind: shapeList, elem: sub(t.Elem())}
	case reflect.Map:
		return shape{kind: shapeMap, key: sub(t.Key()), elem: sub(t.Elem())}
	case reflect.Struct:
		s := shape{kind: shapeStruct}
		for f := range t.Fields() {
			n := fieldNumber(f)
			s.fields = append(s.fields, make([]*field, max(0, n+1-len(s.fields)))...)
			s.fields[n] = &field{shape: newShape(f.Type, false), at: f.Index[0], wanted: !top}
		}
		return s
	default:
		panic(fmt.Sprint("ledger: rows with a ", t, " cannot be skimmed"))
	}
}

// fieldNumber is the key of a field in the CBOR of its struct.
func fieldNumber(f reflect.StructField) int {
	name, options, _ := strings.Cut(f.Tag.Get("cbor"), ",")
	n, err := strconv.Atoi(name)
	if err != nil || !slices.Contains(strings.Split(options, ","), "keyasint") {
		panic("ledger: field " + f.Name + " has no number")
	}
	return n
}

// A skimmer reads rows, one after the other.
type skimmer struct {
	seed  maphash.Seed
	texts [1 << 10]string // some of those that it met last
}

func newSkimmer() *skimmer { return &skimmer{seed: maphash.MakeSeed()} }

// skim takes the wanted fields of a row into v, which must be zero. If it
// returns false, the row must be decoded: it may be one that is to be refused.
func skim[V any](k *skimmer, s *shape, data []byte, v *V) bool {
	rest, ok := k.value(s, data, reflect.ValueOf(v).Elem())
	return ok && len(rest) == 0
}

// The major types of CBOR (RFC 8949, section 3.1), and null.
const (
	majorUint = iota
	majorNegative
	majorBytes
	majorText
	majorList
	majorMap
	_
	majorSimple

	simpleFalse = 20
	simpleTrue  = 21
	null        = 0xf6
)

// head reads what every value begins with: its major type, and a number.
func head(data []byte) (major byte, n uint64, rest []byte, ok bool) {
	if len(data) == 0 {
		return 0, 0, nil, false
	}
	major, n, rest = data[0]>>5, uint64(data[0]&31), data[1:]
	if n < 24 {
		return major, n, rest, true
	}
	size := 1 << (n - 24)
	if n > 27 || len(rest) < size {
		return 0, 0, nil, false
	}
	switch size {
	case 1:
		n = uint64(rest[0])
	case 2:
		n = uint64(binary.BigEndian.Uint16(rest))
	case 4:
		n = uint64(binary.BigEndian.Uint32(rest))
	default:
		n = binary.BigEndian.Uint64(rest)
	}
	return major, n, rest[size:], true
}

// body reads a byte string or a text.
func body(data []byte, want byte) (b, rest []byte, ok bool) {
	major, n, rest, ok := head(data)
	if !ok || major != want || n > uint64(len(rest)) || want == majorText && !utf8.Valid(rest[:n]) {
		return nil, nil, false
	}
	return rest[:n], rest[n:], true
}

// value checks one value and returns what follows it. It sets v, if that is
// one.
func (k *skimmer) value(s *shape, data []byte, v reflect.Value) (rest []byte, ok bool) {
	if len(data) > 0 && data[0] == null {
		return data[1:], true // v is zero
	}
	switch s.kind {
	case shapeText, shapeBytes, shapeTime, shapeAddress:
		return k.bytes(s, data, v)
	case shapeStruct:
		return k.fields(s, data, v)
	case shapeList, shapeMap:
		return k.many(s, data, v)
	case shapeUint, shapeInt, shapeBool:
	}
	major, n, rest, ok := head(data)
	switch {
	case !ok:
		return nil, false
	case s.kind == shapeBool:
		if v.IsValid() {
			v.SetBool(n == simpleTrue)
		}
		return rest, major == majorSimple && len(data) == len(rest)+1 && (n == simpleFalse || n == simpleTrue)
	case n > s.most:
		return nil, false
	case s.kind == shapeUint:
		if v.IsValid() {
			v.SetUint(n)
		}
		return rest, major == majorUint
	case major == majorNegative:
		n = ^n
	}
	if v.IsValid() {
		v.SetInt(int64(n))
	}
	return rest, major == majorUint || major == majorNegative
}

// bytes is value for what is made of bytes.
func (k *skimmer) bytes(s *shape, data []byte, v reflect.Value) (rest []byte, ok bool) {
	major := byte(majorText)
	if s.kind == shapeBytes || s.kind == shapeAddress {
		major = majorBytes
	}
	b, rest, ok := body(data, major)
	if !ok {
		return nil, false
	}
	switch s.kind {
	case shapeText:
		if v.IsValid() {
			v.SetString(k.text(b))
		}
	case shapeTime:
		var at time.Time
		if len(b) == 0 || b[len(b)-1] != 'Z' || at.UnmarshalText(b) != nil {
			return nil, false
		}
		if v.IsValid() {
			*v.Addr().Interface().(*time.Time) = at
		}
	case shapeAddress:
		var a netip.Addr
		if len(b) != 0 && len(b) != 4 && len(b) != 16 || a.UnmarshalBinary(b) != nil {
			return nil, false
		}
		if v.IsValid() {
			*v.Addr().Interface().(*netip.Addr) = a
		}
	default:
		return rest, !v.IsValid()
	}
	return rest, true
}

// text returns b as a string, which may be one that was returned before.
func (k *skimmer) text(b []byte) string {
	at := &k.texts[maphash.Bytes(k.seed, b)%uint64(len(k.texts))]
	if *at != string(b) {
		*at = string(b)
	}
	return *at
}

// fields is value for a struct. Fields come in the order of their numbers.
func (k *skimmer) fields(s *shape, data []byte, v reflect.Value) (rest []byte, ok bool) {
	major, pairs, rest, ok := head(data)
	if !ok || major != majorMap {
		return nil, false
	}
	for next := uint64(0); pairs > 0; pairs-- {
		major, n, after, ok := head(rest)
		if !ok || major != majorUint || n < next || n >= uint64(len(s.fields)) || s.fields[n] == nil {
			return nil, false
		}
		f, to := s.fields[n], reflect.Value{}
		if f.wanted && v.IsValid() {
			to = v.Field(f.at)
		}
		if rest, ok = k.value(&f.shape, after, to); !ok {
			return nil, false
		}
		next = n + 1
	}
	return rest, true
}

// many is value for a list or a map, which cannot be taken: where one is
// wanted it must not be there.
func (k *skimmer) many(s *shape, data []byte, v reflect.Value) (rest []byte, ok bool) {
	major, n, rest, ok := head(data)
	want, limit := byte(majorList), uint64(maxElements)
	if s.kind == shapeMap {
		want, limit = majorMap, maxPairs
	}
	if !ok || major != want || n > limit || v.IsValid() && n > 0 {
		return nil, false
	}
	var last []byte
	for range n {
		if s.kind == shapeMap {
			before := rest
			if rest, ok = k.value(s.key, rest, reflect.Value{}); !ok || before[0] == null {
				return nil, false
			}
			key := before[:len(before)-len(rest)]
			if last != nil && slices.Compare(last, key) >= 0 {
				return nil, false
			}
			last = key
		}
		if rest, ok = k.value(s.elem, rest, reflect.Value{}); !ok {
			return nil, false
		}
	}
	return rest, true
}
