package protocol

import (
	"context"
	"strings"
	"time"
)

// Accounts is about users, and the projects that they own together.
type Accounts interface {
	// Users lists the users: all for an operator, the caller's own account for
	// others, sorted by name.
	Users(ctx context.Context) ([]User, error)

	// AddUser makes an account for a person. One that is there stays as it is.
	// Operators only.
	AddUser(ctx context.Context, in UserInput) (User, error)

	// SetUser disables or enables a user, or gives it an operator's power.
	// Operators only.
	SetUser(ctx context.Context, name string, in UserChange) (User, error)

	// Projects lists the projects of the caller (all, for an operator), sorted
	// by name.
	Projects(ctx context.Context) ([]Project, error)

	// Project returns one project.
	Project(ctx context.Context, name string) (Project, error)

	// CreateProject makes a project that the caller owns. The same again
	// changes nothing.
	CreateProject(ctx context.Context, in ProjectInput) (Project, error)

	// SetProjectMember makes a user a member of a project, or gives it another
	// role there. Owners and operators only.
	SetProjectMember(ctx context.Context, project, account string, in ProjectMemberInput) (Project, error)

	// RemoveProjectMember takes a user out of a project. Owners and operators
	// only, and whoever leaves.
	RemoveProjectMember(ctx context.Context, project, account string) error

	// SetQuota bounds what a project or a user may have. Operators only.
	SetQuota(ctx context.Context, account string, in QuotaInput) (Quota, error)

	// DeleteProject ends a project that has nothing left. Owners and operators
	// only.
	DeleteProject(ctx context.Context, name string) error
}

// What a member may do for its project.
const (
	ProjectOwner     = "owner"     // everything
	ProjectDeveloper = "developer" // instances
	ProjectViewer    = "viewer"    // look, but not at secrets
)

// A Whoami is who asks, as the asked peer knows it.
type Whoami struct {
	Account  string       `json:"account" doc:"for which the caller acts when it names none; empty if it is not known any more"`
	Operator bool         `json:"operator" doc:"may ask on behalf of all"`
	Rights   []string     `json:"rights" doc:"what the caller may do for the account: read, instances, money, admin"`
	Token    string       `json:"token,omitempty" doc:"id of the token that was shown"`
	Projects []OwnProject `json:"projects" doc:"to which the account belongs"`
}

// An OwnProject is a project to which an account belongs.
type OwnProject struct {
	Project string `json:"project"`
	Role    string `json:"role" enum:"owner,developer,viewer"`
}

// A User is the account of a person, or of a peer that nobody invited.
type User struct {
	Account  string       `json:"account"`
	Operator bool         `json:"operator" doc:"may ask on behalf of all"`
	Disabled bool         `json:"disabled" doc:"may look, and nothing else; what runs goes on"`
	Created  time.Time    `json:"created"`
	Projects []OwnProject `json:"projects"`
	Quota    Quota        `json:"quota"`
	Used     Holdings     `json:"used"`
}

// A UserInput names a new user.
type UserInput struct {
	Account string `json:"account" maxLength:"64" doc:"lower-case letters, digits, and . _ - inside"`
}

// A UserChange changes what a user may do. What is missing stays.
type UserChange struct {
	Operator *bool `json:"operator,omitempty"`
	Disabled *bool `json:"disabled,omitempty"`
}

// A Project is an account that users own together.
type Project struct {
	Project   string          `json:"project"`
	Role      string          `json:"role" enum:"owner,developer,viewer," doc:"the caller's; empty if it has none"`
	Created   time.Time       `json:"created"`
	CreatedBy string          `json:"created_by"`
	Disabled  bool            `json:"disabled" doc:"its members may look, and nothing else; what runs goes on"`
	Members   []ProjectMember `json:"members"`
	Quota     Quota           `json:"quota"`
	Used      Holdings        `json:"used"`
}

// A ProjectMember is a user that belongs to a project.
type ProjectMember struct {
	Account string    `json:"account"`
	Role    string    `json:"role" enum:"owner,developer,viewer"`
	Since   time.Time `json:"since" doc:"of the role"`
}

// A ProjectInput names a new project.
type ProjectInput struct {
	Project string `json:"project" maxLength:"64" doc:"lower-case letters, digits, and . _ - inside"`
	Owner   string `json:"owner,omitempty" maxLength:"64" doc:"the caller, if not given; another for operators"`
}

// A ProjectMemberInput says what a user is to be in a project.
type ProjectMemberInput struct {
	Role string `json:"role" enum:"owner,developer,viewer"`
}

// A Quota is what an account may have at one time. Null is not bounded.
type Quota struct {
	Instances  *int64 `json:"instances"`
	Computers  *int64 `json:"computers"`
	Tokens     *int64 `json:"tokens" doc:"that can still be used"`
	Millicores *int64 `json:"millicores" doc:"thousandths of a core that its instances need together"`
	Memory     *int64 `json:"memory" doc:"bytes, as above"`
	Disk       *int64 `json:"disk" doc:"bytes, as above"`
	Bandwidth  *int64 `json:"bandwidth" doc:"bits per second, as above"`
}

// A QuotaInput changes a quota. What is missing stays; -1 lifts a bound.
type QuotaInput struct {
	Instances  *int64 `json:"instances,omitempty" minimum:"-1"`
	Computers  *int64 `json:"computers,omitempty" minimum:"-1"`
	Tokens     *int64 `json:"tokens,omitempty" minimum:"-1"`
	Millicores *int64 `json:"millicores,omitempty" minimum:"-1"`
	Memory     *int64 `json:"memory,omitempty" minimum:"-1"`
	Disk       *int64 `json:"disk,omitempty" minimum:"-1"`
	Bandwidth  *int64 `json:"bandwidth,omitempty" minimum:"-1"`
}

// Holdings are what an account has, as far as the asked peer knows.
type Holdings struct {
	Instances  int64 `json:"instances"`
	Computers  int64 `json:"computers"`
	Tokens     int64 `json:"tokens" doc:"that can still be used"`
	Millicores int64 `json:"millicores"`
	Memory     int64 `json:"memory"`
	Disk       int64 `json:"disk"`
	Bandwidth  int64 `json:"bandwidth"`
}

// CheckAccount refuses what cannot be the name of a user or a project.
func CheckAccount(name string) error {
	if err := checkWord("account", name, maxName, false); err != nil {
		return err
	}
	for i, r := range name {
		if plain := r >= 'a' && r <= 'z' || r >= '0' && r <= '9'; !plain && (i == 0 || !strings.ContainsRune("._-", r)) {
			return Errorf(ErrInvalid, "account %q: lower-case letters, digits, and . _ - inside", name)
		}
	}
	return nil
}

// Check refuses what no implementation could accept.
func (in UserInput) Check() error { return CheckAccount(in.Account) }

// Check refuses what no implementation could accept.
func (in ProjectInput) Check() error {
	if err := CheckAccount(in.Project); err != nil || in.Owner == "" {
		return err
	}
	return CheckAccount(in.Owner)
}

// Check refuses what no implementation could accept.
func (in ProjectMemberInput) Check() error {
	switch in.Role {
	case ProjectOwner, ProjectDeveloper, ProjectViewer:
		return nil
	}
	return Errorf(ErrInvalid, "member: role %.40q is none of owner, developer, viewer", in.Role)
}

// Check refuses what no implementation could accept.
func (in QuotaInput) Check() error {
	for _, f := range [...]struct {
		what string
		most *int64
	}{
		{"instances", in.Instances},
		{"computers", in.Computers},
		{"tokens", in.Tokens},
		{"millicores", in.Millicores},
		{"memory", in.Memory},
		{"disk", in.Disk},
		{"bandwidth", in.Bandwidth},
	} {
		if f.most != nil && (*f.most < -1 || *f.most > maxQuota) {
			return Errorf(ErrInvalid, "quota: %s of %d: 0 to %d expected, or -1 for no bound", f.what, *f.most, int64(maxQuota))
		}
	}
	return nil
}

// maxQuota bounds what a quota can be.
const maxQuota = 1 << 50
