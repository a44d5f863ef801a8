package client_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/protocol"
	"github.com/slapmesh/slapmesh/protocol/protocoltest"
)

// TestTrees runs every call about trees through client, socket and server.
func TestTrees(t *testing.T) {
	mesh := protocoltest.New()
	c, bob := serve(t, mesh.As("operator", true)), serve(t, mesh.As("bob", false))
	ctx := t.Context()
	request := func(in protocol.RequestInput) (protocol.Instance, error) {
		in.Release = "mariadb"
		return c.Request(ctx, in)
	}
	ref := func(name string) protocol.Ref { return protocol.Ref{Reference: name} }
	for _, tc := range []struct {
		name string
		call func() (string, error)
		want string
		code protocol.Code
	}{
		{"root", func() (string, error) {
			v, err := request(protocol.RequestInput{Reference: "shop", Scope: "public", Keep: "7d"})
			return v.Reference + v.Scope + v.Keep + v.Parent, err
		}, "shoppublic168h0m0s", ""},
		{"child", func() (string, error) {
			v, err := request(protocol.RequestInput{Reference: "db", Parent: "shop"})
			return v.Reference + " " + v.Parent + " " + v.Root, err
		}, "shop/db shop shop", ""},
		{"of nobody", func() (string, error) {
			_, err := request(protocol.RequestInput{Reference: "db", Parent: "nobody"})
			return "", err
		}, "", protocol.ErrNotFound},
		{"another scope", func() (string, error) {
			_, err := request(protocol.RequestInput{Reference: "shop", Scope: "group"})
			return "", err
		}, "", protocol.ErrInvalid},
		{"for ever", func() (string, error) {
			_, err := request(protocol.RequestInput{Reference: "shop", Keep: "367d"})
			return "", err
		}, "", protocol.ErrInvalid},
		{"show by path", func() (string, error) {
			v, err := c.Instance(ctx, ref("shop/db"))
			return v.Reference, err
		}, "shop/db", ""},
		{"tree", func() (string, error) {
			all, err := c.Tree(ctx, ref("shop/db"))
			var names []string
			for _, i := range all {
				names = append(names, i.Reference)
			}
			return strings.Join(names, " "), err
		}, "shop shop/db", ""},
		{"another's tree", func() (string, error) {
			_, err := bob.Tree(ctx, protocol.Ref{Reference: "shop", Account: "operator"})
			return "", err
		}, "", protocol.ErrForbidden},
		{"rename", func() (string, error) {
			v, err := c.Rename(ctx, ref("shop"), protocol.RenameInput{To: "store"})
			return v.Reference, err
		}, "store", ""},
		{"the child of another name", func() (string, error) {
			v, err := c.Instance(ctx, ref("store/db"))
			return v.Parent, err
		}, "store", ""},
		{"rename to nothing", func() (string, error) {
			_, err := c.Rename(ctx, ref("store"), protocol.RenameInput{})
			return "", err
		}, "", protocol.ErrInvalid},
		{"bang", func() (string, error) {
			v, err := c.Bang(ctx, ref("store/db"), protocol.BangInput{Message: "look"})
			return v.Reference, err
		}, "store/db", ""},
		{"bang with a novel", func() (string, error) {
			_, err := c.Bang(ctx, ref("store/db"), protocol.BangInput{Message: strings.Repeat("x", 1025)})
			return "", err
		}, "", protocol.ErrInvalid},
		{"move what runs", func() (string, error) {
			_, err := c.Move(ctx, ref("store"), protocol.MoveInput{DiscardData: true})
			return "", err
		}, "", protocol.ErrConflict},
		{"keep what is destroyed", func() (string, error) {
			v, err := c.Destroy(ctx, ref("store/db"), "2h")
			if err == nil && v.KeptUntil == nil {
				err = errors.New("not kept")
			}
			return string(v.RequestedState), err
		}, "stopped", ""},
		{"keep nonsense", func() (string, error) {
			_, err := c.Destroy(ctx, ref("store/db"), "long")
			return "", err
		}, "", protocol.ErrInvalid},
		{"destroy at once", func() (string, error) {
			v, err := c.Destroy(ctx, ref("store/db"), "0s")
			return string(v.RequestedState), err
		}, "destroyed", ""},
		{"parameters of 10 MB", func() (string, error) {
			_, err := request(protocol.RequestInput{Reference: "big", Parameters: map[string]json.RawMessage{"x": json.RawMessage(`"` + strings.Repeat("x", 10<<20) + `"`)}})
			return "", err
		}, "", protocol.ErrInvalid},
	} {
		got, err := tc.call()
		if protocol.CodeOf(err) != tc.code || tc.code == "" && err != nil || got != tc.want {
			t.Errorf("%s: %q and %v, want %q and %q", tc.name, got, err, tc.want, tc.code)
		}
	}
}
