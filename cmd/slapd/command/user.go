package command

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/slapmesh/slapmesh/protocol"
)

func userVerb() *verb {
	return &verb{
		name: "user", args: "list|add|disable|enable|operator", brief: "the users of the mesh: list, add and disable them, make them operators",
		examples: []string{"slapd user list", "slapd user add bob", "slapd user disable bob", "slapd user operator bob on"},
		subs:     []*verb{userListVerb(), userAddVerb(), disableVerb("disable", true), disableVerb("enable", false), operatorVerb()},
	}
}

// answer asks a service and shows what it says.
func answer[T any](i *invocation, ask func(protocol.Service) (T, error), people func(io.Writer, T)) error {
	service, err := i.service()
	if err != nil {
		return err
	}
	v, err := ask(service)
	if err != nil {
		return err
	}
	return i.show(v, func(w io.Writer) { people(w, v) })
}

func userListVerb() *verb {
	return &verb{
		name: "list", brief: "the users, for operators; you, for others",
		examples: []string{"slapd user list", "slapd user list --json"},
		run: func(ctx context.Context, i *invocation) error {
			return answer(i, func(s protocol.Service) ([]protocol.User, error) { return s.Users(ctx) }, printUsers)
		},
	}
}

func printUsers(w io.Writer, users []protocol.User) {
	row(w, "USER", "OPERATOR", "STATE", "INSTANCES", "COMPUTERS", "TOKENS", "PROJECTS", "CREATED")
	for _, u := range users {
		state := "enabled"
		if u.Disabled {
			state = "disabled"
		}
		row(w, u.Account, yes(u.Operator), state, u.Used.Instances, u.Used.Computers, u.Used.Tokens, memberships(u.Projects), moment(u.Created))
	}
}

// memberships prints projects as acme:owner lab:viewer.
func memberships(all []protocol.OwnProject) string {
	var out []string
	for _, p := range all {
		out = append(out, p.Project+":"+p.Role)
	}
	return strings.Join(out, " ")
}

func userAddVerb() *verb {
	return &verb{
		name: "add", args: "NAME", min: 1, max: 1, brief: "make an account for a person",
		about: "Operators only. A name has lower-case letters, digits, and . _ - inside. The person asks with a\n" +
			"token (slapd token create --role user --account NAME), or at a computer of that account.",
		examples: []string{"slapd user add bob"},
		run: func(ctx context.Context, i *invocation) error {
			in := protocol.UserInput{Account: i.args[0]}
			if err := wrong(in.Check()); err != nil {
				return err
			}
			return answer(i, func(s protocol.Service) (protocol.User, error) { return s.AddUser(ctx, in) },
				func(w io.Writer, u protocol.User) { fmt.Fprintf(w, "%s is a user\n", u.Account) })
		},
	}
}

func disableVerb(name string, disabled bool) *verb {
	v := &verb{
		name: name, args: "NAME", min: 1, max: 1, brief: "let a user, or a project, do again what it could",
		about:    "Operators only.",
		examples: []string{"slapd user " + name + " bob"},
	}
	if disabled {
		v.brief = "let a user, or a project, look and do nothing else"
		v.about += " Its tokens and its peers may ask for nothing any more, nor see secrets; tokens that were\n" +
			"to admit peers for it do not. What runs goes on and is billed, and so do its computers."
	}
	v.run = func(ctx context.Context, i *invocation) error {
		return i.change(ctx, protocol.UserChange{Disabled: &disabled}, name+"d")
	}
	return v
}

// change changes the user that is named.
func (i *invocation) change(ctx context.Context, in protocol.UserChange, is string) error {
	name := i.args[0]
	if err := wrong(protocol.CheckAccount(name)); err != nil {
		return err
	}
	return answer(i, func(s protocol.Service) (protocol.User, error) { return s.SetUser(ctx, name, in) },
		func(w io.Writer, u protocol.User) { fmt.Fprintf(w, "%s is %s\n", u.Account, is) })
}

func operatorVerb() *verb {
	return &verb{
		name: "operator", args: "NAME on|off", min: 2, max: 2, brief: "give a user the power of an operator, or take it",
		about: "Operators only. There is always one. An operator may ask on behalf of all; its voters do, and its user\n" +
			"tokens with the scope admin that were made since it became one.",
		examples: []string{"slapd user operator bob on", "slapd user operator bob off"},
		run: func(ctx context.Context, i *invocation) error {
			on, is := i.args[1] == "on", "an operator"
			if !on {
				is = "no operator"
			}
			if !on && i.args[1] != "off" {
				return usagef("%s: on or off", i.args[1])
			}
			return i.change(ctx, protocol.UserChange{Operator: &on}, is)
		},
	}
}
