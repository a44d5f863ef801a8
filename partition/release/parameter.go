package release

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A Kind is the type of a parameter.
type Kind string

// The kinds of parameters, and the Go type that a checked value of each has.
const (
	KindString   Kind = "string"   // string
	KindInteger  Kind = "integer"  // int64
	KindNumber   Kind = "number"   // float64
	KindBoolean  Kind = "boolean"  // bool
	KindSize     Kind = "size"     // int64, bytes; written as "128MiB"
	KindDuration Kind = "duration" // time.Duration; written as "90s"
	KindChoice   Kind = "choice"   // string
	KindArray    Kind = "array"    // []any of its items' kind
)

// The bounds of values.
const (
	maxString    = 64 << 10 // bytes in a string
	defaultItems = 256      // items in an array that does not say otherwise
)

// A Parameter is one thing that a requester may choose.
type Parameter struct {
	Name     string
	Title    string
	Kind     Kind
	Default  any // as checked; nil when there is none
	Required bool
	// Minimum and Maximum bound a number, the bytes of a size, the seconds of a
	// duration, the characters of a string or the items of an array.
	Minimum, Maximum *float64
	Pattern          string // of a string; holds for all of it
	Choices          []string
	Multiline        bool // a string may have line breaks and tabs
	Secret           bool // not to be shown
	Items            *Parameter

	pattern *regexp.Regexp
}

// check returns the value that raw stands for. Strings stand for the value
// that they spell, as command lines and old clients know nothing else.
func (p *Parameter) check(raw json.RawMessage) (any, error) {
	var value any
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	return p.convert(value)
}

// convert returns the checked form of a decoded JSON value.
func (p *Parameter) convert(value any) (any, error) {
	text, isText := value.(string)
	if number, ok := value.(json.Number); ok && p.Kind != KindString && p.Kind != KindChoice {
		text, isText = number.String(), true
	}
	switch p.Kind {
	case KindArray:
		return p.convertArray(value)
	case KindBoolean:
		if b, ok := value.(bool); ok {
			return b, nil
		}
		if b, ok := map[string]bool{"true": true, "false": false}[text]; ok {
			return b, nil
		}
		return nil, fmt.Errorf("%s is not %s", show(value), kindHelp[p.Kind])
	case KindString, KindChoice:
		if number, ok := value.(json.Number); ok {
			text, isText = number.String(), true
		}
		if !isText {
			return nil, fmt.Errorf("%s is not %s", show(value), kindHelp[p.Kind])
		}
		return text, p.checkString(text)
	case KindInteger, KindNumber, KindSize, KindDuration:
		if !isText {
			return nil, fmt.Errorf("%s is not %s", show(value), kindHelp[p.Kind])
		}
		return p.convertQuantity(text)
	}
	return nil, fmt.Errorf("unknown kind %s", p.Kind)
}

// kindHelp ends the sentence "12x is not …".
var kindHelp = map[Kind]string{
	KindString:   "a string",
	KindChoice:   "a string",
	KindBoolean:  "true or false",
	KindArray:    "an array",
	KindInteger:  "a whole number",
	KindNumber:   "a number",
	KindSize:     "a size such as 128MiB (B, KiB, MiB, GiB, TiB, kB, MB, GB, TB; no unit means bytes)",
	KindDuration: "a duration such as 90s, 5m or 1h30m (a plain number means seconds)",
}

func (p *Parameter) convertQuantity(text string) (any, error) {
	var (
		value    any
		quantity float64
		err      error
	)
	switch p.Kind {
	case KindInteger:
		var n int64
		n, err = parseInteger(text)
		value, quantity = n, float64(n)
	case KindSize:
		var n int64
		n, err = ParseSize(text)
		value, quantity = n, float64(n)
	case KindDuration:
		var d time.Duration
		d, err = ParseDuration(text)
		value, quantity = d, d.Seconds()
	default:
		quantity, err = strconv.ParseFloat(text, 64)
		value = quantity
	}
	if err != nil || math.IsNaN(quantity) || math.IsInf(quantity, 0) {
		return nil, fmt.Errorf("%s is not %s", show(text), kindHelp[p.Kind])
	}
	if p.Minimum != nil && quantity < *p.Minimum {
		return nil, fmt.Errorf("%s is less than %s", text, p.bound(*p.Minimum))
	}
	if p.Maximum != nil && quantity > *p.Maximum {
		return nil, fmt.Errorf("%s is more than %s", text, p.bound(*p.Maximum))
	}
	return value, nil
}

// parseInteger reads a whole number, also when it is written as 1e3 or 4.0.
func parseInteger(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil {
		return n, nil
	}
	f, ferr := strconv.ParseFloat(text, 64)
	if ferr != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<53 {
		return 0, err
	}
	return int64(f), nil
}

func (p *Parameter) checkString(text string) error {
	length := float64(utf8.RuneCountInString(text))
	switch {
	case !utf8.ValidString(text):
		return fmt.Errorf("%s is not UTF-8", show(text))
	case len(text) > maxString:
		return fmt.Errorf("%d bytes are more than %d", len(text), maxString)
	case strings.ContainsFunc(text, p.forbids):
		return fmt.Errorf("%s has a line break or another control character", show(text))
	case p.Kind == KindChoice && !slices.Contains(p.Choices, text):
		return fmt.Errorf("%s is not one of %s", show(text), strings.Join(p.Choices, ", "))
	case p.Minimum != nil && length < *p.Minimum:
		return fmt.Errorf("%s is shorter than %s", show(text), p.bound(*p.Minimum))
	case p.Maximum != nil && length > *p.Maximum:
		return fmt.Errorf("%s is longer than %s", show(text), p.bound(*p.Maximum))
	case p.pattern != nil && !p.pattern.MatchString(text):
		return fmt.Errorf("%s does not match %s", show(text), p.Pattern)
	}
	return nil
}

// forbids tells whether a character may not stand in the string. Templates put
// strings into files where a line break would begin another setting.
func (p *Parameter) forbids(r rune) bool {
	if p.Multiline && (r == '\n' || r == '\t') {
		return false
	}
	return r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029'
}

func (p *Parameter) convertArray(value any) (any, error) {
	list, ok := value.([]any)
	if text, isText := value.(string); isText && strings.HasPrefix(strings.TrimSpace(text), "[") {
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		ok = decoder.Decode(&list) == nil
	}
	if !ok {
		return nil, fmt.Errorf("%s is not %s", show(value), kindHelp[p.Kind])
	}
	count, most := float64(len(list)), float64(defaultItems)
	if p.Maximum != nil {
		most = *p.Maximum
	}
	if count > most {
		return nil, fmt.Errorf("%d items are more than %s", len(list), p.bound(most))
	}
	if p.Minimum != nil && count < *p.Minimum {
		return nil, fmt.Errorf("%d items are less than %s", len(list), p.bound(*p.Minimum))
	}
	out := make([]any, len(list))
	for n, item := range list {
		checked, err := p.Items.convert(item)
		if err != nil {
			return nil, fmt.Errorf("item %d: %w", n+1, err)
		}
		out[n] = checked
	}
	return out, nil
}

// bound writes a bound in the unit of the parameter.
func (p *Parameter) bound(b float64) string {
	switch p.Kind {
	case KindSize:
		return FormatSize(int64(b))
	case KindDuration:
		return time.Duration(b * float64(time.Second)).String()
	case KindString, KindChoice:
		return formatNumber(b) + " characters"
	default:
		return formatNumber(b)
	}
}

func formatNumber(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// show writes a value for a message: as JSON, and not too much of it.
func show(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprintf("%.40v", value)
	}
	if text := []rune(string(data)); len(text) > 60 {
		return string(text[:60]) + "…"
	}
	return string(data)
}
