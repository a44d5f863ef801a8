package client

import (
	"context"
	"net/http"

	"github.com/slapmesh/slapmesh/protocol"
)

// Users implements [protocol.Accounts].
func (c *Client) Users(ctx context.Context) (out []protocol.User, err error) {
	err = c.call(ctx, http.MethodGet, path("users"), nil, nil, &out)
	return out, err
}

// AddUser implements [protocol.Accounts].
func (c *Client) AddUser(ctx context.Context, in protocol.UserInput) (out protocol.User, err error) {
	err = c.call(ctx, http.MethodPost, path("users"), nil, in, &out)
	return out, err
}

// SetUser implements [protocol.Accounts].
func (c *Client) SetUser(ctx context.Context, name string, in protocol.UserChange) (out protocol.User, err error) {
	err = c.call(ctx, http.MethodPatch, path("users", name), nil, in, &out)
	return out, err
}

// Projects implements [protocol.Accounts].
func (c *Client) Projects(ctx context.Context) (out []protocol.Project, err error) {
	err = c.call(ctx, http.MethodGet, path("projects"), nil, nil, &out)
	return out, err
}

// Project implements [protocol.Accounts].
func (c *Client) Project(ctx context.Context, name string) (out protocol.Project, err error) {
	err = c.call(ctx, http.MethodGet, path("projects", name), nil, nil, &out)
	return out, err
}

// CreateProject implements [protocol.Accounts].
func (c *Client) CreateProject(ctx context.Context, in protocol.ProjectInput) (out protocol.Project, err error) {
	err = c.call(ctx, http.MethodPost, path("projects"), nil, in, &out)
	return out, err
}

// SetProjectMember implements [protocol.Accounts].
func (c *Client) SetProjectMember(ctx context.Context, project, account string, in protocol.ProjectMemberInput) (out protocol.Project, err error) {
	err = c.call(ctx, http.MethodPut, path("projects", project, "members", account), nil, in, &out)
	return out, err
}

// RemoveProjectMember implements [protocol.Accounts].
func (c *Client) RemoveProjectMember(ctx context.Context, project, account string) error {
	return c.call(ctx, http.MethodDelete, path("projects", project, "members", account), nil, nil, nil)
}

// SetQuota implements [protocol.Accounts].
func (c *Client) SetQuota(ctx context.Context, account string, in protocol.QuotaInput) (out protocol.Quota, err error) {
	err = c.call(ctx, http.MethodPatch, path("accounts", account, "quota"), nil, in, &out)
	return out, err
}

// DeleteProject implements [protocol.Accounts].
func (c *Client) DeleteProject(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, path("projects", name), nil, nil, nil)
}
