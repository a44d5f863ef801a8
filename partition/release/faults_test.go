package release_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/partition/release"
)

// head begins a sound profile, in two lines.
const head = `release(name = "x", version = "1", sources = [debian("bash")], parameters = {"p": string("P", default = "d")})
def instance(i):
`

// TestFaults holds what the writer of a malformed profile reads: the place, a
// caret, and what was expected.
func TestFaults(t *testing.T) {
	tests := []struct {
		name    string
		profile string
		explain string
	}{
		{"syntax", "release(name = \"x\",\n  version = = \"1\")\n", `
release.star:2:13: got '=', want primary expression
      version = = "1")
                ^
`},
		{"unclosed string", "x = \"abc\n", `
release.star:1:5: unexpected newline in string
    x = "abc
        ^
`},
		{"misspelt type", "release(name = \"x\", version = \"1\", sources = [debian(\"bash\")], parameters = {\n\t\"p\": sting(\"P\"),\n})\n", `
release.star:2:7: undefined: sting
    	"p": sting("P"),
    	     ^
known names: GiB, KiB, MiB, archive, array, boolean, choice, debian, duration, folder, git, golang, integer, json, npm, number, oci, quote_url, release, size, string
`},
		{"misspelt keyword", "release(name = \"x\", verzion = \"1\")\n", `
release.star:1:8: release: unexpected keyword argument "verzion" (did you mean version?)
    release(name = "x", verzion = "1")
           ^
`},
		{"no release", "def instance(i):\n    pass\n", `
release.star: release(…) is never called
expected release(name = "…", version = "…", title = "…", sources = […], parameters = {…})
`},
		{"no instance", "release(name = \"x\", version = \"1\", sources = [debian(\"bash\")])\n", `
release.star: there is no function instance
expected def instance(i): … that says what an instance should be
`},
		{"instance of two", "release(name = \"x\", version = \"1\", sources = [debian(\"bash\")])\ndef instance(i, j):\n    pass\n", `
release.star:2:1: instance takes the wrong parameters
    def instance(i, j):
    ^
expected def instance(i):
`},
		{"bad name", "release(name = \"My App\", version = \"1\")\n", `
release.star:1:8: release: name "My App"
    release(name = "My App", version = "1")
           ^
expected small letters, digits and -, a letter first, at most 63
`},
		{"no sources", "release(name = \"x\", version = \"1\")\n", `
release.star:1:8: release: no sources: a release is made of something
    release(name = "x", version = "1")
           ^
expected sources = [debian("…")]
`},
		{"option for a package", "debian(\"-oDpkg::Pre-Invoke=x\")\n", `
release.star:1:7: debian: "-oDpkg::Pre-Invoke=x" is not the name of a package
    debian("-oDpkg::Pre-Invoke=x")
          ^
expected small letters, digits and + . -
`},
		{"default breaks pattern", "string(\"P\", default = \"A\", pattern = \"[a-z]+\")\n", `
release.star:1:7: string: default: "A" does not match [a-z]+
    string("P", default = "A", pattern = "[a-z]+")
          ^
`},
		{"bad pattern", "string(\"P\", pattern = \"[a-z\")\n", "\nrelease.star:1:7: string: pattern: error parsing regexp: missing closing ]: `[a-z`\n    string(\"P\", pattern = \"[a-z\")\n          ^\nexpected a regular expression (RE2)\n"},
		{"default too large", "size(\"S\", default = \"2GiB\", maximum = \"1GiB\")\n", `
release.star:1:5: size: default: 2GiB is more than 1GiB
    size("S", default = "2GiB", maximum = "1GiB")
        ^
`},
		{"no size", "size(\"S\", default = \"12 potatoes\")\n", `
release.star:1:5: size: default: "12 potatoes" is not a size such as 128MiB (B, KiB, MiB, GiB, TiB, kB, MB, GB, TB; no unit means bytes)
    size("S", default = "12 potatoes")
        ^
`},
		{"recursion", "def f(n):\n    return f(n)\nf(1)\n", `
release.star:2:12: function f called recursively
        return f(n)
               ^
recursion is not allowed, so that every profile ends
`},
		{"endless", "x = [n for n in range(1000000000)]\n", `
release.star:1:8: Starlark computation cancelled: too many steps
    x = [n for n in range(1000000000)]
           ^
a profile may take 1000000 steps: it says what should be, it does not do it
`},
		{"while", "def f():\n    while True:\n        pass\n", `
release.star:2:5: this Starlark dialect does not support while loops
        while True:
        ^
`},
		{"missing load", "load(\"lib.star\", \"f\")\n", `
release.star:1:1: load: no file lib.star in the profile
    load("lib.star", "f")
    ^
expected one of release.star, t.cnf
`},
		{"unknown template", head + "    i.file(\"a\", template = \"b.cnf\")\n", `
release.star:3:11: file: no template b.cnf in the profile
        i.file("a", template = "b.cnf")
              ^
expected one of release.star, t.cnf
`},
		{"template value", head + "    i.file(\"a\", template = \"t.cnf\", memori = 1)\n", `
t.cnf:2:3: template: no value for "memory"
    a {{ memory }} b
      ^
did you mean memori?
`},
		{"unused value", head + "    i.file(\"a\", template = \"t.cnf\", memory = 1, x = 2)\n", `
release.star:3:11: file: template t.cnf does not use x
        i.file("a", template = "t.cnf", memory = 1, x = 2)
              ^
expected {{ x }} in it
`},
		{"path leaves", head + "    i.file(\"../../etc/passwd\", content = \"\")\n", `
release.star:3:11: file: "../../etc/passwd": a path is relative, with plain slashes, and has no empty, . or .. element
        i.file("../../etc/passwd", content = "")
              ^
`},
		{"misspelt method", head + "    i.servise(\"a\", [\"a\"])\n", `
release.star:3:6: instance has no .servise field or method (did you mean .service?)
        i.servise("a", ["a"])
         ^
`},
		{"unknown parameter", head + "    x = i.params.q\n", `
release.star:3:17: "params" struct has no .q attribute
        x = i.params.q
                    ^
`},
		{"unknown port", head + "    i.service(\"a\", [\"a\"], ports = {\"http\": 80})\n    i.address(\"htp\")\n", `
release.star:4:14: address: no service has a port "htp"
        i.address("htp")
                 ^
expected a port that i.service declared before: http
`},
		{"port out of range", head + "    i.service(\"a\", [\"a\"], ports = {\"http\": 80000})\n", `
release.star:3:14: service: a: ports: http is 80000
        i.service("a", ["a"], ports = {"http": 80000})
                 ^
expected a whole number from 1 to 65535, or, for a port of UDP, a text such as "53/udp"
`},
		{"unknown protocol", head + "    i.service(\"a\", [\"a\"], ports = {\"http\": \"80/tcp\"})\n", `
release.star:3:14: service: a: ports: http is "80/tcp"
        i.service("a", ["a"], ports = {"http": "80/tcp"})
                 ^
expected a whole number from 1 to 65535, or, for a port of UDP, a text such as "53/udp"
`},
		{"connecting to UDP", head + "    i.service(\"a\", [\"a\"], ports = {\"dns\": \"53/udp\"})\n    i.promise(\"b\", tcp = \"dns\")\n", `
release.star:4:14: promise: b: tcp: dns is a port of UDP, to which nothing can connect
        i.promise("b", tcp = "dns")
                 ^
expected a command that asks it: exec = […]
`},
		{"two checks", head + "    i.promise(\"a\", exec = [\"a\"], tcp = \"localhost:1\")\n", `
release.star:3:14: promise: a: 2 checks
        i.promise("a", exec = ["a"], tcp = "localhost:1")
                 ^
expected exactly one of exec = […], tcp = port, http = url
`},
		{"a metric without command", head + "    i.metric(\"requests\", exec = [])\n", `
release.star:3:13: metric: requests: empty command
        i.metric("requests", exec = [])
                ^
expected ["program", "argument", …]
`},
		{"a metric that is a promise", head + "    i.metric(\"requests\", http = \"http://localhost\")\n", `
release.star:3:13: i.metric: unexpected keyword argument "http"
        i.metric("requests", http = "http://localhost")
                ^
`},
		{"a metric asked all the time", head + "    i.metric(\"requests\", [\"a\"], every = \"1s\")\n", `
release.star:3:13: metric: requests: every: "1s"
        i.metric("requests", ["a"], every = "1s")
                ^
expected a time such as 30s, from 10s to 24h0m0s
`},
		{"a metric twice", head + "    i.metric(\"a\", [\"a\"])\n    i.metric(\"a\", [\"a\"])\n", `
release.star:4:13: metric: a is there twice
        i.metric("a", ["a"])
                ^
`},
		{"metrics without end", head + "    for n in range(17): i.metric(\"m%d\" % n, [\"a\"])\n", `
release.star:3:33: metric: more than 16
        for n in range(17): i.metric("m%d" % n, ["a"])
                                    ^
`},
		{"a metric with a bad name", head + "    i.metric(\"Total Rows\", [\"a\"])\n", `
release.star:3:13: metric: name "Total Rows"
        i.metric("Total Rows", ["a"])
                ^
expected small letters, digits and -, a letter first, at most 63
`},
		{"twice", head + "    i.publish(url = \"a\")\n    i.publish(url = \"b\")\n", `
release.star:4:14: publish: url is there twice
        i.publish(url = "b")
                 ^
`},
		{"after what", head + "    i.once(\"a\", [\"a\"], after = \"b\")\n", `
release.star:3:11: once: a: after "b"
        i.once("a", ["a"], after = "b")
              ^
expected a service made before: so far none
`},
		{"too much", head + "    for n in range(5): i.file(\"f%d\" % n, content = \"x\" * 2000000)\n", `
release.star:3:30: the instance has more than 8388608 bytes of files
        for n in range(5): i.file("f%d" % n, content = "x" * 2000000)
                                 ^
`},
		{"own failure", head + "    fail(\"not today\")\n", `
release.star:3:9: fail: not today
        fail("not today")
            ^
`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var e *release.Error
			if err := evaluate(t, test.profile); !errors.As(err, &e) {
				t.Fatalf("got %v, want a *release.Error", err)
			}
			if got, want := e.Explain(), strings.TrimPrefix(test.explain, "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if strings.Contains(e.Error(), "\n") {
				t.Errorf("not on one line: %q", e.Error())
			}
		})
	}
}

// evaluate loads a profile with a template t.cnf and evaluates it.
func evaluate(t *testing.T, profile string) error {
	t.Helper()
	b, err := release.NewBundle(map[string][]byte{"release.star": []byte(profile), "t.cnf": []byte("[x]\na {{ memory }} b\n")})
	if err != nil {
		t.Fatal(err)
	}
	r, err := release.Load(b)
	if err != nil {
		return err
	}
	_, err = r.Evaluate(release.Input{Address: netip.MustParseAddr("127.64.0.1")})
	return err
}

// TestLoadedFile holds that a fault is shown where it is, not where its file
// was loaded.
func TestLoadedFile(t *testing.T) {
	b, err := release.NewBundle(map[string][]byte{
		"release.star": []byte("load(\"lib.star\", \"f\")\n"),
		"lib.star":     []byte("def f():\n    return 1 +\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = release.Load(b)
	var e *release.Error
	if !errors.As(err, &e) || e.File != "lib.star" || e.Line != 2 {
		t.Errorf("got %v, want a fault in line 2 of lib.star", err)
	}
}
