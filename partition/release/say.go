package release

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.starlark.net/starlark"
)

// dir is i.dir(name, mode=, backup=): a folder that is kept.
func (i *instance) dir(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var name string
	mode, backup := 0o700, false
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "name", &name, "mode?", &mode, "backup?", &backup); err != nil {
		return nil, err
	}
	if err := i.place("dir", name, mode); err != nil {
		return nil, err
	}
	i.desired.Dirs = append(i.desired.Dirs, Dir{Path: name, Mode: uint32(mode), Backup: backup})
	return starlark.String(i.absolute(name)), nil
}

// file is i.file(name, content=, template=, mode=, values…): a file with that
// content, now and after every change of it.
func (i *instance) file(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	values, own := map[string]starlark.Value{}, []starlark.Tuple(nil)
	for _, pair := range kwargs {
		switch key := string(pair[0].(starlark.String)); key {
		case "name", "content", "template", "mode":
			own = append(own, pair)
		default:
			values[key] = pair[1]
		}
	}
	var name, template string
	var content starlark.Value
	mode := 0o600
	err := starlark.UnpackArgs(fn.Name(), args, own, "name", &name, "content?", &content, "template?", &template, "mode?", &mode)
	if err != nil {
		return nil, err
	}
	if err := i.place("file", name, mode); err != nil {
		return nil, err
	}
	f := File{Path: name, Mode: uint32(mode)}
	switch text, isText := content.(starlark.String); {
	case (content == nil) == (template == ""):
		return nil, faultf("file: %s has neither content nor template, or both", name).expected(`content = "…" or template = "name in the profile"`)
	case template != "":
		if f.Content, err = i.release.bundle.fill(template, values); err != nil {
			return nil, err
		}
	case !isText:
		return nil, faultf("file: content of %s is a %s", name, content.Type()).expected("a string")
	case len(values) > 0:
		return nil, faultf("file: %s has values but no template: %s", name, strings.Join(slices.Sorted(maps.Keys(values)), ", "))
	default:
		f.Content = []byte(text)
	}
	if err := i.spend(len(f.Content)); err != nil {
		return nil, err
	}
	i.desired.Files = append(i.desired.Files, f)
	return starlark.String(i.absolute(name)), nil
}

// place checks the path and the mode of a file or folder.
func (i *instance) place(kind, name string, mode int) error {
	if err := checkPath(name); err != nil {
		return faultf("%s: %v", kind, err)
	}
	if strings.HasPrefix(name, ".") {
		return faultf("%s: %s: names that begin with a dot are the supervisor's", kind, name)
	}
	if mode < 0 || mode > 0o777 {
		return faultf("%s: mode %#o of %s", kind, mode, name).expected("0o000 to 0o777")
	}
	if i.names["path "+name] {
		return faultf("%s: %s is there twice", kind, name)
	}
	i.names["path "+name] = true
	if len(i.desired.Dirs)+len(i.desired.Files) >= maxEntries {
		return faultf("%s: more than %d files and folders", kind, maxEntries)
	}
	return nil
}

// secret is i.secret(name): made once, then always the same.
func (i *instance) secret(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	name := "password"
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "name?", &name); err != nil {
		return nil, err
	}
	if !releaseName.MatchString(name) {
		return nil, faultf("secret: name %s", show(name)).expected("small letters, digits and -, a letter first, at most 63")
	}
	if i.input.Secret == nil {
		return nil, faultf("secret: %s: no secrets are to be had here", name)
	}
	if !i.names["secret "+name] {
		i.names["secret "+name] = true
		if i.secrets++; i.secrets > maxThings {
			return nil, faultf("secret: more than %d", maxThings)
		}
	}
	value := i.input.Secret(name)
	if value == "" {
		return nil, faultf("secret: %s is empty", name)
	}
	return starlark.String(value), nil
}

// publish is i.publish(key=value, …): the connection parameters.
func (i *instance) publish(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	return starlark.None, i.publishTo(i.desired.Published, args, kwargs)
}

func (i *instance) publishTo(published map[string]string, args starlark.Tuple, kwargs []starlark.Tuple) error {
	if len(args) > 0 {
		return faultf("publish: got a value without a name").expected(`url = "…"`)
	}
	for _, pair := range kwargs {
		key := string(pair[0].(starlark.String))
		text, err := plainText(pair[1])
		if err != nil {
			return faultf("publish: %s: %v", key, err)
		}
		if _, ok := published[key]; ok {
			return faultf("publish: %s is there twice", key)
		}
		if len(published) >= maxThings || len(key) > 64 || len(text) > maxString {
			return faultf("publish: %.64s: too much", key).expected("at most %d values of %d bytes", maxThings, maxString)
		}
		published[key] = text
		if err := i.spend(len(text)); err != nil {
			return err
		}
	}
	return nil
}

// address is i.address(port): "127.64.0.1:3306" for a port of a service.
func (i *instance) address(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var port string
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "port", &port); err != nil {
		return nil, err
	}
	number, ok := i.desired.Ports[port]
	if !ok {
		return nil, faultf("address: no service has a port %s", show(port)).expected("a port that i.service declared before: %s", i.portNames())
	}
	return starlark.String(i.input.address(number)), nil
}

func (i *instance) portNames() string {
	names := slices.Sorted(maps.Keys(i.desired.Ports))
	if len(names) == 0 {
		return `so far none; as in i.service(…, ports = {"http": 80})`
	}
	return strings.Join(names, ", ")
}

// readArgv checks a command.
func (i *instance) readArgv(what string, value starlark.Iterable) ([]string, error) {
	argv, err := readStrings(what, value, maxArgv)
	if err != nil {
		return nil, err
	}
	if len(argv) == 0 || argv[0] == "" {
		return nil, faultf("%s: empty command", what).expected(`["program", "argument", …]`)
	}
	return argv, i.checkWords(what, argv...)
}

// checkWords bounds a command or an environment.
func (i *instance) checkWords(what string, words ...string) error {
	total := 0
	for _, word := range words {
		if strings.ContainsRune(word, 0) {
			return faultf("%s: %s has a zero byte", what, show(word))
		}
		total += len(word)
	}
	if total > maxWords {
		return faultf("%s: more than %d bytes", what, maxWords)
	}
	return i.spend(total)
}

func (i *instance) readEnv(what string, dict *starlark.Dict) (map[string]string, error) {
	if dict == nil || dict.Len() == 0 {
		return nil, nil
	}
	out := make(map[string]string, dict.Len())
	for _, item := range dict.Items() {
		key, ok := starlark.AsString(item[0])
		if !ok || !parameterName.MatchString(strings.TrimLeft(key, "_")) {
			return nil, faultf("%s: env: name %s", what, item[0]).expected("letters, digits and _")
		}
		text, err := plainText(item[1])
		if err != nil {
			return nil, faultf("%s: env: %s: %v", what, key, err)
		}
		if err := i.checkWords(what, key, text); err != nil {
			return nil, err
		}
		out[key] = text
	}
	return out, nil
}

// readTime reads a duration as parameters are written, or seconds.
func readTime(what string, value starlark.Value, standard, least, most time.Duration) (time.Duration, error) {
	if value == nil || value == starlark.None {
		return standard, nil
	}
	text, err := plainText(value)
	if err != nil {
		return 0, faultf("%s: %v", what, err)
	}
	d, err := ParseDuration(text)
	if err != nil || d < least || d > most {
		return 0, faultf("%s: %s", what, show(text)).expected("a time such as 30s, from %v to %v", least, most)
	}
	return d, nil
}

// readPort reads one port: a number, of TCP, or such as "53/udp".
func readPort(service string, item starlark.Tuple) (name string, number uint16, udp bool, err error) {
	name, ok := starlark.AsString(item[0])
	if !ok || !releaseName.MatchString(name) {
		return "", 0, false, faultf("service: %s: ports: name %s", service, item[0]).expected("small letters, digits and -")
	}
	text, ok := starlark.AsString(item[1])
	if !ok {
		text = item[1].String()
	}
	digits, protocol, named := strings.Cut(text, "/")
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 || ok != named || named && protocol != "udp" {
		return "", 0, false, faultf("service: %s: ports: %s is %s", service, name, item[1]).expected("a whole number from 1 to 65535, or, for a port of UDP, a text such as \"53/udp\"")
	}
	return name, uint16(n), named, nil
}

// quoteList joins names for a message.
func quoteList(names []string) string {
	if len(names) == 0 {
		return "so far none"
	}
	quoted := make([]string, len(names))
	for n, name := range names {
		quoted[n] = strconv.Quote(name)
	}
	return fmt.Sprint(strings.Join(quoted, ", "))
}
