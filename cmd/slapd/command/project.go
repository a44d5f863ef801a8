package command

import (
	"context"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func projectVerb() *verb {
	return &verb{
		name: "project", args: "list|create|show|members|add|remove|quota|delete", brief: "accounts that users own together: make them, and say who may what",
		examples: []string{"slapd project create acme", "slapd project add acme bob --role developer", "slapd request mariadb db1 --account acme"},
		subs: []*verb{
			projectListVerb(), projectCreateVerb(), projectShowVerb(), projectMembersVerb(),
			projectAddVerb(), projectRemoveVerb(), quotaVerb(), projectDeleteVerb(),
		},
	}
}

func projectListVerb() *verb {
	return &verb{
		name: "list", brief: "the projects to which you belong; all, for operators",
		examples: []string{"slapd project list", "slapd project list --json"},
		run: func(ctx context.Context, i *invocation) error {
			return answer(i, func(s protocol.Service) ([]protocol.Project, error) { return s.Projects(ctx) }, printProjects)
		},
	}
}

func printProjects(w io.Writer, projects []protocol.Project) {
	row(w, "PROJECT", "YOU ARE", "MEMBERS", "INSTANCES", "COMPUTERS", "CREATED BY", "CREATED", "STATE")
	for _, p := range projects {
		row(w, p.Project, p.Role, len(p.Members), p.Used.Instances, p.Used.Computers, p.CreatedBy, moment(p.Created), projectState(p))
	}
}

func projectState(p protocol.Project) string {
	if p.Disabled {
		return "disabled"
	}
	return "enabled"
}

func projectCreateVerb() *verb {
	return &verb{
		name: "create", args: "NAME", min: 1, max: 1, brief: "make a project that you own",
		about: "A name has lower-case letters, digits, and . _ - inside, and is that of no other account. A user may\n" +
			"make a hundred; three in an open mesh, where accounts cost nothing and every peer keeps their list.",
		options: func() []cli.Flag {
			return []cli.Flag{&cli.StringFlag{Name: "owner", Usage: "that `USER` owns, not you (operators only)"}}
		},
		examples: []string{"slapd project create acme"},
		run: func(ctx context.Context, i *invocation) error {
			in := protocol.ProjectInput{Project: i.args[0], Owner: i.String("owner")}
			if err := wrong(in.Check()); err != nil {
				return err
			}
			return answer(i, func(s protocol.Service) (protocol.Project, error) { return s.CreateProject(ctx, in) }, printProject)
		},
	}
}

func printProject(w io.Writer, p protocol.Project) {
	row(w, "project", p.Project)
	row(w, "you are", p.Role)
	row(w, "state", projectState(p))
	row(w, "created", fmt.Sprintf("%s by %s", moment(p.Created), p.CreatedBy))
	printQuota(w, p.Quota, p.Used)
	fmt.Fprintln(w)
	printMembership(w, p)
}

func printMembership(w io.Writer, p protocol.Project) {
	row(w, "MEMBER", "ROLE", "SINCE")
	for _, m := range p.Members {
		row(w, m.Account, m.Role, moment(m.Since))
	}
}

func projectShowVerb() *verb {
	return &verb{
		name: "show", args: "PROJECT", min: 1, max: 1, brief: "one project: its members, what it has, and what it may have",
		examples: []string{"slapd project show acme", "slapd project show acme --json"},
		run:      func(ctx context.Context, i *invocation) error { return i.project(ctx, printProject) },
	}
}

// project shows the project that is named.
func (i *invocation) project(ctx context.Context, people func(io.Writer, protocol.Project)) error {
	if err := wrong(protocol.CheckAccount(i.args[0])); err != nil {
		return err
	}
	return answer(i, func(s protocol.Service) (protocol.Project, error) { return s.Project(ctx, i.args[0]) }, people)
}

func projectMembersVerb() *verb {
	return &verb{
		name: "members", args: "PROJECT", min: 1, max: 1, brief: "who belongs to a project, as what",
		examples: []string{"slapd project members acme"},
		run: func(ctx context.Context, i *invocation) error {
			if err := wrong(protocol.CheckAccount(i.args[0])); err != nil {
				return err
			}
			return answer(i, func(s protocol.Service) ([]protocol.ProjectMember, error) {
				p, err := s.Project(ctx, i.args[0])
				return p.Members, err
			}, func(w io.Writer, all []protocol.ProjectMember) { printMembership(w, protocol.Project{Members: all}) })
		},
	}
}

func projectAddVerb() *verb {
	return &verb{
		name: "add", args: "PROJECT USER", min: 2, max: 2, brief: "make a user a member of a project, or give it another role there",
		about: "A viewer may look, but not at parameters and connection parameters. A developer may request, start,\n" +
			"stop and destroy instances as well, look into them, and publish. An owner may do everything: prices,\n" +
			"payments, tokens, members, the project's computers. Owners and operators only.",
		options: func() []cli.Flag {
			return []cli.Flag{&cli.StringFlag{Name: "role", Usage: "`ROLE` is owner, developer or viewer", Value: protocol.ProjectDeveloper}}
		},
		examples: []string{"slapd project add acme bob", "slapd project add acme eve --role viewer"},
		run: func(ctx context.Context, i *invocation) error {
			in := protocol.ProjectMemberInput{Role: i.String("role")}
			if err := wrong(in.Check(), protocol.CheckAccount(i.args[0]), protocol.CheckAccount(i.args[1])); err != nil {
				return err
			}
			return answer(i, func(s protocol.Service) (protocol.Project, error) {
				return s.SetProjectMember(ctx, i.args[0], i.args[1], in)
			}, printMembership)
		},
	}
}

func projectRemoveVerb() *verb {
	return &verb{
		name: "remove", args: "PROJECT USER", min: 2, max: 2, brief: "take a user out of a project, or leave it",
		about:    "Owners and operators only, and whoever leaves. A project always has an owner.",
		examples: []string{"slapd project remove acme bob"},
		run: func(ctx context.Context, i *invocation) error {
			if err := wrong(protocol.CheckAccount(i.args[0]), protocol.CheckAccount(i.args[1])); err != nil {
				return err
			}
			return answer(i, func(s protocol.Service) (map[string]string, error) {
				return map[string]string{"project": i.args[0], "account": i.args[1]}, s.RemoveProjectMember(ctx, i.args[0], i.args[1])
			}, func(w io.Writer, _ map[string]string) {
				fmt.Fprintf(w, "%s does not belong to %s\n", i.args[1], i.args[0])
			})
		},
	}
}

func projectDeleteVerb() *verb {
	return &verb{
		name: "delete", args: "PROJECT", min: 1, max: 1, brief: "end a project that has nothing left",
		about: "Owners and operators only. It is refused while the project has instances, computers, published releases\n" +
			"or a balance. Its tokens end with it.",
		examples: []string{"slapd project delete acme"},
		run: func(ctx context.Context, i *invocation) error {
			if err := wrong(protocol.CheckAccount(i.args[0])); err != nil {
				return err
			}
			return answer(i, func(s protocol.Service) (map[string]string, error) {
				return map[string]string{"project": i.args[0]}, s.DeleteProject(ctx, i.args[0])
			}, func(w io.Writer, _ map[string]string) { fmt.Fprintf(w, "project %s is deleted\n", i.args[0]) })
		},
	}
}
