package release_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/slapmesh/slapmesh/partition/release"
)

// everyKind is a profile with parameters of every kind.
const everyKind = `
release(name = "x", version = "1", sources = [debian("bash")], parameters = {
    "database": string("Database", default = "app", pattern = "[a-z][a-z0-9_]*", max_length = 10),
    "greeting": string("Greeting", multiline = True),
    "key": string("Key", required = True, min_length = 4, secret = True),
    "memory": size("Memory", default = "128MiB", minimum = "1MiB", maximum = "1GiB"),
    "idle": duration("Idle", default = "90s", maximum = "1h"),
    "workers": integer("Workers", default = 4, minimum = 1, maximum = 64),
    "ratio": number("Ratio", default = 0.5),
    "debug": boolean("Debug", default = False),
    "level": choice("Level", choices = ["low", "high"], default = "low"),
    "hosts": array("Hosts", items = string("Host", pattern = "[a-z.]+"), max_items = 2),
})
def instance(i):
    p = i.params
    i.publish(all = "|".join([str(v) for v in [
        p.database, p.greeting, p.key, p.memory, p.idle, p.workers, p.ratio, p.debug, p.level, p.hosts]]))
`

func load(tb testing.TB, profile string) *release.Release {
	tb.Helper()
	b, err := release.NewBundle(map[string][]byte{"release.star": []byte(profile)})
	if err != nil {
		tb.Fatal(err)
	}
	r, err := release.Load(b)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func raw(values map[string]string) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for key, value := range values {
		out[key] = json.RawMessage(value)
	}
	return out
}

func TestCheckParameters(t *testing.T) {
	schema := load(t, everyKind).Parameters
	tests := []struct {
		name  string
		given map[string]string
		want  string // the values, or the faults
	}{
		{"defaults", map[string]string{"key": `"abcd"`}, "map[database:app debug:false idle:1m30s key:abcd level:low memory:134217728 ratio:0.5 workers:4]"},
		{
			"as strings",
			map[string]string{"key": `"abcd"`, "memory": `"2MiB"`, "idle": `"5"`, "workers": `"8"`, "ratio": `"1e-3"`, "debug": `"true"`, "hosts": `"[\"a.b\"]"`},
			"map[database:app debug:true hosts:[a.b] idle:5s key:abcd level:low memory:2097152 ratio:0.001 workers:8]",
		},
		{"as values", map[string]string{"key": `12345`, "memory": `1048576`, "idle": `0.5`, "workers": `8.0`, "hosts": `["a","b"]`, "greeting": `"a\nb"`}, "map[database:app debug:false greeting:a\nb hosts:[a b] idle:500ms key:12345 level:low memory:1048576 ratio:0.5 workers:8]"},
		{"null is the default", map[string]string{"key": `"abcd"`, "workers": `null`}, "map[database:app debug:false idle:1m30s key:abcd level:low memory:134217728 ratio:0.5 workers:4]"},
		{
			"every fault",
			map[string]string{
				"database": `"A b"`, "memory": `"12 potatoes"`, "idle": `"2h"`, "workers": `1.5`, "ratio": `"x"`, "debug": `1`,
				"level": `"mid"`, "hosts": `["A"]`, "memroy": `1`, "key": `"abc"`, "greeting": `{}`,
			},
			`parameters: database: "A b" does not match [a-z][a-z0-9_]*; greeting: {} is not a string; key: does not fit: Key; ` +
				`memory: "12 potatoes" is not a size such as 128MiB (B, KiB, MiB, GiB, TiB, kB, MB, GB, TB; no unit means bytes); ` +
				`idle: 2h is more than 1h0m0s; workers: "1.5" is not a whole number; ratio: "x" is not a number; debug: 1 is not true or false; ` +
				`level: "mid" is not one of low, high; hosts: item 1: "A" does not match [a-z.]+; memroy: unknown: did you mean memory?`,
		},
		{"required", nil, "parameters: key: required: Key"},
		{"line break", map[string]string{"key": `"abcd"`, "database": `"a\nb"`}, `parameters: database: "a\nb" has a line break or another control character`},
		{"too many items", map[string]string{"key": `"abcd"`, "hosts": `["a","b","c"]`}, "parameters: hosts: 3 items are more than 2"},
		{"not JSON", map[string]string{"key": `"abcd"`, "workers": `{`}, "parameters: workers: not JSON: unexpected EOF"},
		{"huge", map[string]string{"key": `"abcd"`, "workers": `1e400`, "memory": `"99999999999TiB"`}, "parameters: memory: \"99999999999TiB\" is not a size such as 128MiB (B, KiB, MiB, GiB, TiB, kB, MB, GB, TB; no unit means bytes); workers: \"1e400\" is not a whole number"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			values, err := schema.CheckParameters(raw(test.given))
			got := fmt.Sprint(values)
			if err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestSchemaAgrees holds that the published JSON Schema accepts and refuses
// what CheckParameters does, for values of their own types.
func TestSchemaAgrees(t *testing.T) {
	schema := load(t, everyKind).Parameters
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema.JSON()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("parameters.json", document); err != nil {
		t.Fatal(err)
	}
	published, err := compiler.Compile("parameters.json")
	if err != nil {
		t.Fatal(err)
	}
	good := map[string]string{"key": `"abcd"`}
	tests := map[string][]string{
		"database": {`"a"`, `"a_1"`, `"A"`, `"abcdefghijkl"`, `""`, `[]`},
		"key":      {`"abc"`, `"abcd"`},
		"memory":   {`"1MiB"`, `"1.5MiB"`, `2097152`, `"x"`, `true`, `"1 MiB"`, `1`},
		"idle":     {`"1m30s"`, `"90"`, `5`, `"soon"`, `-1`},
		"workers":  {`1`, `64`, `0`, `65`, `1.5`, `[]`},
		"ratio":    {`0.1`, `-3`, `{}`},
		"debug":    {`true`, `0`},
		"level":    {`"low"`, `"mid"`},
		"hosts":    {`[]`, `["a"]`, `["a","b","c"]`, `["A"]`, `"a"`},
		"unknown":  {`1`},
	}
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		for _, value := range tests[name] {
			given := raw(good)
			given[name] = json.RawMessage(value)
			_, ours := schema.CheckParameters(given)
			data, err := json.Marshal(given)
			if err != nil {
				t.Fatal(err)
			}
			instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if theirs := published.Validate(instance); (ours == nil) != (theirs == nil) {
				t.Errorf("%s = %s: we say %v, the schema says %v", name, value, ours, theirs)
			}
		}
	}
}

func TestSchemaJSON(t *testing.T) {
	r := load(t, `release(name = "x", version = "1", sources = [debian("bash")], parameters = {
    "z": string("Z", required = True), "a": size("A", default = "1MiB")})
def instance(i): pass
`)
	const want = `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{` +
		`"z":{"type":"string","title":"Z"},` +
		`"a":{"type":["string","integer"],"title":"A","default":"1MiB","format":"size","pattern":"^[0-9]+(\\.[0-9]+)? ?([KMGT]iB|[kMGT]?B)?$","minimum":0}},` +
		`"required":["z"],"additionalProperties":false}`
	if got := string(r.Parameters.JSON()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func FuzzParseSize(f *testing.F) {
	for _, seed := range []string{"128MiB", "1.5 GB", "4096", "-1", "1e9", ".", "0x10", "9999999999999999999TiB", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := release.ParseSize(text)
		if err != nil {
			return
		}
		if again, err := release.ParseSize(release.FormatSize(n)); err != nil || again != n || n < 0 {
			t.Errorf("%q is %d, written %s, read %d (%v)", text, n, release.FormatSize(n), again, err)
		}
	})
}

func FuzzCheckParameters(f *testing.F) {
	schema := load(f, everyKind).Parameters
	for _, p := range schema {
		f.Add(p.Name, []byte(`"1"`))
		f.Add(p.Name, []byte(`{"a":[1e999]}`))
	}
	f.Fuzz(func(t *testing.T, name string, value []byte) {
		_, err := schema.CheckParameters(map[string]json.RawMessage{"key": json.RawMessage(`"abcd"`), name: value})
		if err != nil && strings.ContainsAny(err.Error(), "\n\x00") && !strings.ContainsAny(name, "\n\x00") {
			t.Errorf("not on one line: %q", err)
		}
	})
}
