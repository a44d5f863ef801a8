package command

import (
	"context"

	"github.com/urfave/cli/v2"
)

// A verb is one command.
type verb struct {
	name  string
	args  string // as shown after the name
	brief string // one line, for the list of all verbs
	about string // what else there is to know, for its own help

	min, max int // number of arguments; a negative max is no bound
	options  func() []cli.Flag
	examples []string
	run      func(context.Context, *invocation) error

	subs   []*verb
	parent *verb
}

// flags are the verb's own, new each time: urfave keeps values in them.
func (v *verb) flags() []cli.Flag {
	if v.options == nil {
		return nil
	}
	return v.options()
}

// path is the verb's name with that of its parent.
func (v *verb) path() string {
	if v.parent != nil && v.parent.name != "" {
		return v.parent.name + " " + v.name
	}
	return v.name
}

// sub returns the verb below v of that name.
func (v *verb) sub(name string) *verb {
	for _, s := range v.subs {
		if s.name == name {
			return s
		}
	}
	return nil
}

func names(verbs []*verb) []string {
	var out []string
	for _, v := range verbs {
		out = append(out, v.name)
	}
	return out
}

// table is the whole command line, in the order in which help shows it.
func table() []*verb {
	return root().subs
}

// root is the nameless verb above all others.
func root() *verb {
	top := &verb{
		brief: "a mesh of computers that run your software",
		args:  "COMMAND",
		subs: []*verb{
			initVerb(), joinVerb(), runVerb(), demoVerb(),
			statusVerb(), membersVerb(), computersVerb(), computerVerb(), releasesVerb(), releaseVerb(),
			tokenVerb(), meshVerb(), userVerb(), projectVerb(), supplyVerb(),
			requestVerb(), quoteVerb(), listVerb(), showVerb(), startVerb(), stopVerb(), destroyVerb(),
			renameVerb(), bangVerb(), moveVerb(),
			logsVerb(), execVerb(), connectVerb(),
			priceVerb(), statementVerb(), payVerb(), limitVerb(), reviewVerb(), termsVerb(), invoiceVerb(), ledgerVerb(),
			leaveVerb(), versionVerb(),
		},
	}
	for _, v := range top.subs {
		v.parent = top
		for _, s := range v.subs {
			s.parent = v
		}
	}
	return top
}

// globals are the flags of every verb.
func globals() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "dir", Usage: "`FOLDER` of the peer's state (SLAPD_DIR)"},
		&cli.StringFlag{Name: "peer", Usage: "ask the local API at `HOST:PORT` with the token in SLAPD_TOKEN, not the control socket (SLAPD_PEER)"},
		&cli.BoolFlag{Name: "json", Usage: "print one JSON value"},
	}
}
