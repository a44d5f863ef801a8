package client_test

import (
	"errors"
	"testing"

	"github.com/slapmesh/slapmesh/protocol"
	"github.com/slapmesh/slapmesh/protocol/protocoltest"
)

// TestAccounts runs every call about users and projects through client, socket
// and server.
func TestAccounts(t *testing.T) {
	mesh := protocoltest.New()
	ann, bob, eve := serve(t, mesh.As("ann", true)), serve(t, mesh.As("bob", false)), serve(t, mesh.As("eve", false))
	ctx := t.Context()
	yes, three, lift, less := true, int64(3), int64(-1), int64(-2)
	role := func(r string) protocol.ProjectMemberInput { return protocol.ProjectMemberInput{Role: r} }

	for _, tc := range []struct {
		name string
		call func() error
		code protocol.Code
	}{
		{"add", func() error {
			v, err := ann.AddUser(ctx, protocol.UserInput{Account: "cem"})
			return same(err, v.Account, "cem")
		}, ""},
		{"add, by no operator", func() error { _, err := bob.AddUser(ctx, protocol.UserInput{Account: "dan"}); return err }, protocol.ErrForbidden},
		{"add a strange name", func() error { _, err := ann.AddUser(ctx, protocol.UserInput{Account: "a/b\n"}); return err }, protocol.ErrInvalid},
		{"users", func() error { v, err := bob.Users(ctx); return same(err, v[0].Account, "bob") }, ""},
		{"disable", func() error {
			v, err := ann.SetUser(ctx, "cem", protocol.UserChange{Disabled: &yes})
			if err == nil && (!v.Disabled || v.Operator) {
				err = errors.New("not disabled")
			}
			return err
		}, ""},
		{"operator", func() error {
			v, err := ann.SetUser(ctx, "cem", protocol.UserChange{Operator: &yes})
			if err == nil && (!v.Disabled || !v.Operator) {
				err = errors.New("no operator")
			}
			return err
		}, ""},
		{"change of nobody", func() error { _, err := ann.SetUser(ctx, "x", protocol.UserChange{}); return err }, protocol.ErrNotFound},
		{"create", func() error {
			v, err := bob.CreateProject(ctx, protocol.ProjectInput{Project: "acme"})
			return same(err, v.Role+v.Members[0].Account, "ownerbob")
		}, ""},
		{"create again", func() error { _, err := bob.CreateProject(ctx, protocol.ProjectInput{Project: "acme"}); return err }, ""},
		{"create another's", func() error {
			_, err := ann.CreateProject(ctx, protocol.ProjectInput{Project: "acme"})
			return err
		}, protocol.ErrConflict},
		{"create a strange name", func() error {
			_, err := bob.CreateProject(ctx, protocol.ProjectInput{Project: "Acme"})
			return err
		}, protocol.ErrInvalid},
		{"member", func() error {
			v, err := bob.SetProjectMember(ctx, "acme", "cem", role("viewer"))
			return same(err, v.Members[1].Account+v.Members[1].Role, "cemviewer")
		}, ""},
		{"member of a strange role", func() error { _, err := bob.SetProjectMember(ctx, "acme", "cem", role("king")); return err }, protocol.ErrInvalid},
		{"last owner", func() error { _, err := bob.SetProjectMember(ctx, "acme", "bob", role("viewer")); return err }, protocol.ErrConflict},
		{"no member", func() error { return bob.RemoveProjectMember(ctx, "acme", "cem") }, ""},
		{"show", func() error { v, err := ann.Project(ctx, "acme"); return same(err, v.CreatedBy+v.Role, "bob") }, ""},
		{"show another's", func() error { _, err := eve.Project(ctx, "acme"); return err }, protocol.ErrNotFound},
		{"projects", func() error { v, err := bob.Projects(ctx); return same(err, v[0].Project, "acme") }, ""},
		{"quota", func() error {
			v, err := ann.SetQuota(ctx, "acme", protocol.QuotaInput{Instances: &three})
			if err == nil && (v.Instances == nil || *v.Instances != 3 || v.Tokens != nil) {
				err = errors.New("another quota")
			}
			return err
		}, ""},
		{"no quota", func() error {
			v, err := ann.SetQuota(ctx, "acme", protocol.QuotaInput{Instances: &lift})
			if err == nil && v.Instances != nil {
				err = errors.New("a quota")
			}
			return err
		}, ""},
		{"absurd quota", func() error {
			_, err := ann.SetQuota(ctx, "acme", protocol.QuotaInput{Disk: &less})
			return err
		}, protocol.ErrInvalid},
		{"quota by no operator", func() error { _, err := bob.SetQuota(ctx, "acme", protocol.QuotaInput{}); return err }, protocol.ErrForbidden},
		{"token", func() error {
			v, err := bob.CreateToken(ctx, protocol.TokenInput{Role: protocol.RoleUser, Scopes: []string{"read", "money"}, Project: "acme"})
			return same(err, v.Scopes[1]+v.Project, "moneyacme")
		}, ""},
		{"token with a strange scope", func() error {
			_, err := bob.CreateToken(ctx, protocol.TokenInput{Role: protocol.RoleUser, Scopes: []string{"all"}})
			return err
		}, protocol.ErrInvalid},
		{"who asks", func() error {
			v, err := bob.Status(ctx)
			return same(err, v.Whoami.Account+v.Whoami.Projects[0].Role, "bobowner")
		}, ""},
		{"delete", func() error { return bob.DeleteProject(ctx, "acme") }, ""},
		{"delete what is gone", func() error { return bob.DeleteProject(ctx, "acme") }, protocol.ErrNotFound},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := tc.call(); protocol.CodeOf(err) != tc.code || (tc.code == "") != (err == nil) {
				t.Errorf("got %v (%s), want %q", err, protocol.CodeOf(err), tc.code)
			}
		})
	}
}
