package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

type projectPath struct {
	Project string `path:"project" maxLength:"64"`
}

func (s *Server) accounts() {
	register(s, huma.Operation{
		OperationID: "list-users", Method: http.MethodGet, Path: "/v1/users", Tags: []string{"accounts"},
		Summary: "The users of the mesh, for operators; your own account otherwise",
	}, func(ctx context.Context, v protocol.Service, _ *none) ([]protocol.User, error) {
		users, err := v.Users(ctx)
		return filled(users), err
	})
	register(s, huma.Operation{
		OperationID: "add-user", Method: http.MethodPost, Path: "/v1/users", Tags: []string{"accounts"},
		Summary: "Make an account for a person; operators only",
	}, checked(func(ctx context.Context, v protocol.Service, in protocol.UserInput) (protocol.User, error) {
		user, err := v.AddUser(ctx, in)
		return user.Filled(), err
	}))
	register(s, huma.Operation{
		OperationID: "set-user", Method: http.MethodPatch, Path: "/v1/users/{account}", Tags: []string{"accounts"},
		Summary: "Disable or enable a user, or give it an operator's power; operators only",
	}, func(ctx context.Context, v protocol.Service, in *struct {
		Account string `path:"account" maxLength:"64"`
		Body    protocol.UserChange
	},
	) (protocol.User, error) {
		user, err := v.SetUser(ctx, in.Account, in.Body)
		return user.Filled(), err
	})
	register(s, huma.Operation{
		OperationID: "set-quota", Method: http.MethodPatch, Path: "/v1/accounts/{account}/quota", Tags: []string{"accounts"},
		Summary: "Bound what a project or a user may have; operators only",
	}, func(ctx context.Context, v protocol.Service, in *struct {
		Account string `path:"account" maxLength:"64"`
		Body    protocol.QuotaInput
	},
	) (out protocol.Quota, err error) {
		if err = in.Body.Check(); err != nil {
			return out, err
		}
		return v.SetQuota(ctx, in.Account, in.Body)
	})
	s.projects()
}

func (s *Server) projects() {
	register(s, huma.Operation{
		OperationID: "list-projects", Method: http.MethodGet, Path: "/v1/projects", Tags: []string{"accounts"},
		Summary: "The projects to which you belong; all, for operators",
	}, func(ctx context.Context, v protocol.Service, _ *none) ([]protocol.Project, error) {
		projects, err := v.Projects(ctx)
		return filled(projects), err
	})
	register(s, huma.Operation{
		OperationID: "create-project", Method: http.MethodPost, Path: "/v1/projects", Tags: []string{"accounts"},
		Summary: "Make a project that you own; the same again changes nothing",
	}, checked(func(ctx context.Context, v protocol.Service, in protocol.ProjectInput) (protocol.Project, error) {
		project, err := v.CreateProject(ctx, in)
		return project.Filled(), err
	}))
	register(s, huma.Operation{
		OperationID: "show-project", Method: http.MethodGet, Path: "/v1/projects/{project}", Tags: []string{"accounts"},
		Summary: "One project",
	}, func(ctx context.Context, v protocol.Service, in *projectPath) (protocol.Project, error) {
		project, err := v.Project(ctx, in.Project)
		return project.Filled(), err
	})
	registerQuiet(s, huma.Operation{
		OperationID: "delete-project", Method: http.MethodDelete, Path: "/v1/projects/{project}", Tags: []string{"accounts"},
		Summary: "End a project that has nothing left",
	}, func(ctx context.Context, v protocol.Service, in *projectPath) error {
		return v.DeleteProject(ctx, in.Project)
	})
	register(s, huma.Operation{
		OperationID: "set-project-member", Method: http.MethodPut, Path: "/v1/projects/{project}/members/{account}", Tags: []string{"accounts"},
		Summary: "Make a user a member of a project, or give it another role there",
	}, func(ctx context.Context, v protocol.Service, in *struct {
		Project string `path:"project" maxLength:"64"`
		Account string `path:"account" maxLength:"64"`
		Body    protocol.ProjectMemberInput
	},
	) (protocol.Project, error) {
		if err := in.Body.Check(); err != nil {
			return protocol.Project{}, err
		}
		project, err := v.SetProjectMember(ctx, in.Project, in.Account, in.Body)
		return project.Filled(), err
	})
	registerQuiet(s, huma.Operation{
		OperationID: "remove-project-member", Method: http.MethodDelete, Path: "/v1/projects/{project}/members/{account}", Tags: []string{"accounts"},
		Summary: "Take a user out of a project, or leave it",
	}, func(ctx context.Context, v protocol.Service, in *struct {
		Project string `path:"project" maxLength:"64"`
		Account string `path:"account" maxLength:"64"`
	},
	) error {
		return v.RemoveProjectMember(ctx, in.Project, in.Account)
	})
}
