package release

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Schema is the parameters of a release, in the order of the profile.
type Schema []Parameter

// A ParameterFault is one thing wrong with the parameters of a request.
type ParameterFault struct {
	Name    string
	Message string
}

// A ParameterError lists everything that is wrong with the parameters of a
// request.
type ParameterError struct{ Faults []ParameterFault }

func (e *ParameterError) Error() string {
	faults := make([]string, len(e.Faults))
	for n, f := range e.Faults {
		faults[n] = f.Name + ": " + f.Message
	}
	return "parameters: " + strings.Join(faults, "; ")
}

// CheckParameters returns the values of all parameters, defaults included,
// with the Go types that [Kind] names. What was not given and has no default
// is missing. The error is a [*ParameterError] and names every fault. JSON
// null means the default.
func (s Schema) CheckParameters(given map[string]json.RawMessage) (map[string]any, error) {
	values, faults := make(map[string]any, len(s)), []ParameterFault(nil)
	for n := range s {
		p := &s[n]
		raw, ok := given[p.Name]
		switch {
		case ok && !isNull(raw):
			value, err := p.check(raw)
			if err != nil {
				faults = append(faults, ParameterFault{p.Name, hide(p, err)})
				continue
			}
			values[p.Name] = value
		case p.Default != nil:
			values[p.Name] = p.Default
		case p.Required:
			faults = append(faults, ParameterFault{p.Name, "required: " + p.Title})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.ContainsFunc(s, func(p Parameter) bool { return p.Name == name }) {
			faults = append(faults, ParameterFault{fmt.Sprintf("%.64s", name), "unknown: " + s.suggest(name)})
		}
	}
	if len(faults) > 0 {
		return nil, &ParameterError{faults}
	}
	return values, nil
}

// hide keeps the value of a secret out of a message.
func hide(p *Parameter, err error) string {
	if p.Secret {
		return "does not fit: " + p.Title
	}
	return err.Error()
}

func isNull(raw json.RawMessage) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) == 0 || string(raw) == "null"
}

// suggest says what a wrong name may have meant, or else what there is.
func (s Schema) suggest(name string) string {
	names := make([]string, len(s))
	for n := range s {
		names[n] = s[n].Name
	}
	if len(names) == 0 {
		return "this release has no parameters"
	}
	if near := nearest(name, names); near != "" {
		return "did you mean " + near + "?"
	}
	return "there are " + strings.Join(names, ", ")
}

// JSON returns the schema as JSON Schema (draft 2020-12), with the parameters
// in their order.
func (s Schema) JSON() json.RawMessage {
	var out bytes.Buffer
	out.WriteString(`{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{`)
	var required []string
	for n := range s {
		if n > 0 {
			out.WriteByte(',')
		}
		out.Write(encodeJSON(s[n].Name))
		out.WriteByte(':')
		out.Write(encodeJSON(s[n].document()))
		if s[n].Required {
			required = append(required, s[n].Name)
		}
	}
	out.WriteString(`},`)
	if len(required) > 0 {
		fmt.Fprintf(&out, `"required":%s,`, encodeJSON(required))
	}
	out.WriteString(`"additionalProperties":false}`)
	return out.Bytes()
}

// A document is the JSON Schema of one parameter.
type document struct {
	Type      any       `json:"type"` // a name or several
	Title     string    `json:"title,omitempty"`
	Default   any       `json:"default,omitempty"`
	Format    string    `json:"format,omitempty"` // size or duration: a hint for forms
	Pattern   string    `json:"pattern,omitempty"`
	Enum      []string  `json:"enum,omitempty"`
	Minimum   *float64  `json:"minimum,omitempty"`
	Maximum   *float64  `json:"maximum,omitempty"`
	MinLength *float64  `json:"minLength,omitempty"`
	MaxLength *float64  `json:"maxLength,omitempty"`
	MinItems  *float64  `json:"minItems,omitempty"`
	MaxItems  *float64  `json:"maxItems,omitempty"`
	Items     *document `json:"items,omitempty"`
	WriteOnly bool      `json:"writeOnly,omitempty"`
}

func (p *Parameter) document() *document {
	d := &document{Title: p.Title, WriteOnly: p.Secret, Default: p.present(p.Default)}
	switch p.Kind {
	case KindString:
		d.Type, d.MinLength, d.MaxLength = "string", p.Minimum, p.Maximum
		if p.Pattern != "" {
			d.Pattern = "^(?:" + p.Pattern + ")$"
		}
	case KindChoice:
		d.Type, d.Enum = "string", p.Choices
	case KindSize:
		d.Type, d.Format = []string{"string", "integer"}, "size"
		d.Pattern, d.Minimum, d.Maximum = `^[0-9]+(\.[0-9]+)? ?([KMGT]iB|[kMGT]?B)?$`, cmp.Or(p.Minimum, new(float64)), p.Maximum
	case KindDuration:
		d.Type, d.Format = []string{"string", "number"}, "duration"
		d.Pattern, d.Minimum, d.Maximum = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h)?)+$`, cmp.Or(p.Minimum, new(float64)), p.Maximum
	case KindArray:
		d.Type, d.Items, d.MinItems, d.MaxItems = "array", p.Items.document(), p.Minimum, p.Maximum
	case KindInteger, KindNumber, KindBoolean:
		d.Type, d.Minimum, d.Maximum = string(p.Kind), p.Minimum, p.Maximum
	}
	return d
}

// present writes a checked value as a requester would.
func (p *Parameter) present(value any) any {
	switch v := value.(type) {
	case int64:
		if p.Kind == KindSize {
			return FormatSize(v)
		}
	case time.Duration:
		return v.String()
	case []any:
		out := make([]any, len(v))
		for n := range v {
			out[n] = p.Items.present(v[n])
		}
		return out
	}
	return value
}

func encodeJSON(v any) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic("release: encode schema: " + err.Error()) // our own plain types always encode
	}
	return bytes.TrimSpace(out.Bytes())
}
