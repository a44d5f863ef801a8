package ledger

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger/book"
)

// acme is a mesh with a project that has a member of each role, an instance, a
// computer and a token; zoe belongs to nothing.
const acme = home + `
	p1 user olga
	p1 user dave
	p1 user vera
	p1 user zoe
	p1 project acme olga
	p1 member acme dave developer
	p1 member acme vera viewer
	p1 token joins computer acme
	p1 admit p2 joins
	p2 offer 2
	p1 token key user acme
	@dave request a web 1 account=acme
`

// TestWhoMayWhat is the table of DESIGN.md: who may do what for a project.
func TestWhoMayWhat(t *testing.T) {
	web := DigestOf(profileOf("web", "1"))
	pin := int64(3)
	own := DigestOf(profileOf("own", "1"))
	publish := Publish{Digest: own, Profile: profileOf("own", "1"), Name: "own", Account: "acme"}
	newToken := func(c CreateToken) CreateToken {
		c.ID, c.Digest, c.Role, c.Uses, c.Expires = "new", digestOfToken("new"), RoleUser, 1, noon.Add(time.Hour)
		return c
	}
	who := map[string]Principal{
		"stranger": AsAccount("zoe"), "viewer": AsAccount("vera"), "developer": AsAccount("dave"),
		"owner": AsAccount("olga"), "peer": AsPeer("p2"), "token": AsToken("key"), "operator": AsPeer("p1"),
	}
	const (
		all        = "viewer developer owner peer token operator"
		developers = "developer owner peer token operator"
		owners     = "owner peer token operator"
	)
	for _, tc := range []struct {
		name  string
		given string
		when  Command
		then  string // who may
	}{
		{"request", "", Request{Account: "acme", Reference: "b", Release: web}, developers},
		{"change a request", "", Request{Account: "acme", Reference: "a", Release: web, Parameters: params("x", "1")}, developers},
		{"stop", "", SetState{Account: "acme", Reference: "a", State: InstanceStopped}, developers},
		{"start", "p1 stop a account=acme", SetState{Account: "acme", Reference: "a", State: InstanceStarted}, developers},
		{"destroy", "", SetState{Account: "acme", Reference: "a", State: InstanceDestroyed}, developers},
		{"rename", "", Rename{1, "b"}, developers},
		{"bang", "", Bang{1, "look"}, developers},
		{"move", "p1 stop a account=acme\np1 report acme a stopped\np2 report acme a stopped", Move{Instance: 1, DiscardData: true}, developers},
		{"request what an instance requests", "p1 publish db 1", Request{Parent: 1, Reference: "b", Release: DigestOf(profileOf("db", "1"))}, developers},
		{"set a computer", "", SetComputer{Computer: "p2", Scope: ScopePublic}, owners},
		{"drain a computer", "", DrainComputer{"p2", true}, owners},
		{"retire a computer", "", RetireComputer{"p2", true}, owners},
		{"give a computer", "", GiveComputer{"p2", "zoe"}, owners},
		{"publish", "", publish, developers},
		{"unpublish", "%key publish own 1", Unpublish{own}, developers},
		{"supply", "", SetSupply{"p2", web, SupplyAvailable}, owners},
		{"set a price", "", SetPrice{Account: "acme", Rates: book.Rates{Core: 1}}, owners},
		{"pay", "", Pay{ID: "x", From: "acme", To: "zoe", Sum: 1}, owners},
		{"review a bill", "", ReviewBill{Account: "acme", Instance: 1, Verdict: VerdictAccepted}, owners},
		{"set a limit", "", SetLimit{"acme", true, 1}, "operator"},
		{"make a token", "", newToken(CreateToken{Account: "acme"}), owners},
		{"make a token that admits", "", CreateToken{ID: "new", Digest: digestOfToken("new"), Role: RoleComputer, Uses: 1, Expires: noon.Add(time.Hour), Account: "acme"}, "operator"},
		{"revoke a token", "", RevokeToken{"key"}, owners},
		{"add a member", "", SetMember{"acme", "zoe", RoleViewer}, owners},
		{"change a member", "", SetMember{"acme", "vera", RoleOwner}, owners},
		{"remove a member", "", RemoveMember{"acme", "ann"}, owners},
		{"set a quota", "", SetQuota{"acme", Quota{Instances: &pin}}, "operator"},
		{"disable", "", DisableAccount{"acme", true}, "operator"},
		{"delete", "p1 destroy a account=acme\np2 report acme a destroyed\np1 report acme a destroyed\np2 leave", DeleteProject{"acme"}, "owner token operator"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, name := range sortedKeys(who) {
				w := given(t, acme+"p1 member acme ann viewer\n")
				for line := range strings.Lines(tc.given) {
					w.run(line)
				}
				if name == "peer" && tc.name == "delete" {
					continue // there is none any more
				}
				_, err := w.ask(who[name], tc.when)
				if may := slices.Contains(strings.Fields(tc.then), name); may != (err == nil) {
					t.Errorf("%s: may %v, got %v", name, may, err)
				} else if c := CodeOf(err); err != nil && c != ErrForbidden && c != ErrNotFound {
					t.Errorf("%s: %v (%s)", name, err, c)
				}
			}
		})
	}
	for right, then := range map[Rights]string{RightRead: all, RightInstances: developers, RightMoney: owners, RightAdmin: owners, AllRights: owners} {
		w := given(t, acme)
		for name, p := range who {
			p, err := w.Recognise(p, w.at)
			if err != nil {
				t.Fatal(err)
			}
			account, err := w.ActFor(p, "acme", right)
			if may := slices.Contains(strings.Fields(then), name); may != (err == nil) || may && account != "acme" {
				t.Errorf("%s of acme by %s: %v, want %v", right, name, err, may)
			}
		}
	}
}

// TestTokensMayNoMore: what a token may do is bounded by its scopes, by its
// project, and by what its account may do at that time.
func TestTokensMayNoMore(t *testing.T) {
	web := DigestOf(profileOf("web", "1"))
	request := func(account AccountName) Command { return Request{Account: account, Reference: "b", Release: web} }
	for _, tc := range []struct {
		name  string
		given string
		when  Command
		then  string // the refusal, or a part of it
	}{
		{"reads", "p1 token t user zoe 1 scopes=read", request(""), "token t may do no more than read, and this takes instances"},
		{"requests", "p1 token t user zoe 1 scopes=instances", request(""), ""},
		{"requests only", "p1 token t user zoe 1 scopes=instances", SetPrice{Rates: book.Rates{Core: 1}}, "takes money"},
		{"makes no token", "p1 token t user zoe 1 scopes=instances,money", RevokeToken{"t"}, "takes admin"},
		{"makes none that may more", "p1 token t user zoe 1 scopes=admin", CreateToken{ID: "u", Digest: digestOfToken("u"), Role: RoleUser, Uses: 1, Expires: noon.Add(time.Minute), Scopes: []string{"money"}}, "may do no more than read, admin, and this takes money"},
		{"makes one that may as much", "p1 token t user zoe 1 scopes=admin", CreateToken{ID: "u", Digest: digestOfToken("u"), Role: RoleUser, Uses: 1, Expires: noon.Add(time.Minute), Scopes: []string{"admin"}}, ""},
		{"of an operator", "p1 token t user ann 1", SetLimit{"zoe", true, 1}, ""},
		{"of an operator without admin", "p1 token t user ann 1 scopes=money,instances", SetLimit{"zoe", true, 1}, "only an operator"},
		{"of an operator without money", "p1 token t user ann 1 scopes=admin", SetLimit{"zoe", true, 1}, "takes money"},
		{"of who became an operator later", "p1 token t user zoe 1\np1 operator zoe on", DisableAccount{"vera", true}, "only an operator"},
		{"of who was an operator before", "p1 operator zoe on\nhours 1\np1 token t user zoe 1", DisableAccount{"vera", true}, ""},
		{"for a project is for that", "@dave token t user dave 1 project=acme", request(""), ""},
		{"for a project by name", "@dave token t user dave 1 project=acme", request("acme"), ""},
		{"for a project and nothing else", "@dave token t user dave 1 project=acme", request("dave"), "account dave: you act for acme"},
		{"for a project as far as the role goes", "@vera token t user vera 1 project=acme", request(""), "may do no more than read, and this takes instances"},
		{"for a project that was left", "@dave token t user dave 1 project=acme\np1 unmember acme dave", request(""), "to which dave does not belong"},
		{"for a project, of an operator", "p1 member acme ann owner\np1 token t user ann 1 project=acme", SetLimit{"zoe", true, 1}, "only an operator"},
		{"of a disabled account", "p1 token t user zoe 1\np1 disable zoe", request(""), "account zoe is disabled, so it may read and nothing else"},
		{"of a disabled project", "@dave token t user dave 1\np1 disable acme", request("acme"), "account acme is disabled"},
		{"for a disabled project", "@dave token t user dave 1 project=acme\np1 disable acme", request(""), "account acme is disabled"},
		{"of an enabled account", "p1 token t user zoe 1\np1 disable zoe\np1 enable zoe", request(""), ""},
		{"of a disabled operator", "p1 operator zoe on\nhours 1\np1 token t user zoe 1\np1 disable zoe", SetRole{"p2", RoleVoter}, "only an operator"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := given(t, acme+tc.given+"\n")
			_, err := w.ask(AsToken("t"), tc.when)
			if (err == nil) != (tc.then == "") || err != nil && !strings.Contains(err.Error(), tc.then) {
				t.Errorf("got %v\nwant %s", err, tc.then)
			}
		})
	}
}

// TestPeopleRefusals: what nobody may ask.
func TestPeopleRefusals(t *testing.T) {
	token := func(c CreateToken) CreateToken {
		c.ID, c.Digest, c.Uses, c.Expires = "x", digestOfToken("x"), 1, noon.Add(time.Hour)
		return c
	}
	number := func(n int64) *int64 { return &n }
	for name, tc := range map[string]struct {
		when Command
		then Code
	}{
		"project with a capital":           {CreateProject{Name: "Acme"}, ErrInvalid},
		"project with a control character": {CreateProject{Name: "ac\x00me"}, ErrInvalid},
		"project with a line break":        {CreateProject{Name: "acme\n"}, ErrInvalid},
		"project that reads backwards":     {CreateProject{Name: "a\u202ecme"}, ErrInvalid},
		"project with a Cyrillic letter":   {CreateProject{Name: "аcme"}, ErrInvalid},
		"project with an invisible letter": {CreateProject{Name: "ac\u200bme"}, ErrInvalid},
		"project without a name":           {CreateProject{}, ErrInvalid},
		"project with a long name":         {CreateProject{Name: AccountName(strings.Repeat("x", MaxName+1))}, ErrInvalid},
		"project called as a stranger":     {CreateProject{Name: "peer-p9"}, ErrInvalid},
		"project called all":               {CreateProject{Name: "all"}, ErrInvalid},
		"project called as the mint":       {CreateProject{Name: MintAccount}, ErrInvalid},
		"project called as a user":         {CreateProject{Name: "zoe"}, ErrConflict},
		"project of somebody else":         {CreateProject{Name: "acme", Owner: "zoe"}, ErrConflict},
		"project of a project":             {CreateProject{Name: "sub", Owner: "acme"}, ErrInvalid},
		"project of nobody":                {CreateProject{Name: "sub", Owner: "nobody"}, ErrNotFound},
		"user with a comma":                {CreateUser{"a,b"}, ErrInvalid},
		"user with a colon":                {CreateUser{"a:b"}, ErrInvalid},
		"user with unicode":                {CreateUser{"zoë"}, ErrInvalid},
		"user called as a project":         {CreateUser{"acme"}, ErrConflict},
		"member of no project":             {SetMember{"nothing", "zoe", RoleOwner}, ErrNotFound},
		"member of a user":                 {SetMember{"zoe", "dave", RoleOwner}, ErrNotFound},
		"member of oneself":                {SetMember{"", "dave", RoleOwner}, ErrNotFound},
		"member that is nobody":            {SetMember{"acme", "no\tbody", RoleOwner}, ErrNotFound},
		"member that is a project":         {SetMember{"acme", "acme", RoleOwner}, ErrInvalid},
		"member with an unknown role":      {SetMember{"acme", "zoe", "king"}, ErrInvalid},
		"member without a role":            {SetMember{"acme", "zoe", ""}, ErrInvalid},
		"member of a strange project":      {SetMember{"ac\x1b[31mme", "zoe", RoleViewer}, ErrNotFound},
		"strange member removed":           {RemoveMember{"acme", "z\u202eoe"}, ErrInvalid},
		"member of a strange one removed":  {RemoveMember{"acme\x00", "zoe"}, ErrInvalid},
		"strange project deleted":          {DeleteProject{"acm\u00e9"}, ErrInvalid},
		"project without a name deleted":   {DeleteProject{}, ErrInvalid},
		"strange name disabled":            {DisableAccount{"zo\x07e", true}, ErrNotFound},
		"strange operator":                 {SetOperator{"zo\u200be", true}, ErrNotFound},
		"quota of a strange name":          {SetQuota{"ac\nme", Quota{Instances: number(1)}}, ErrNotFound},
		"token for a strange account":      {token(CreateToken{Role: RoleUser, Account: "z\x00"}), ErrInvalid},
		"token for a strange project":      {token(CreateToken{Role: RoleUser, Project: "ac\x7fme"}), ErrNotFound},
		"publisher with a strange name":    {Publish{Digest: DigestOf([]byte("x")), Profile: []byte("x"), Name: "x", Account: "z\x00"}, ErrNotFound},
		"last owner made less":             {SetMember{"acme", "olga", RoleViewer}, ErrConflict},
		"last owner removed":               {RemoveMember{"acme", "olga"}, ErrConflict},
		"project with instances deleted":   {DeleteProject{"acme"}, ErrConflict},
		"user deleted":                     {DeleteProject{"zoe"}, ErrInvalid},
		"last operator taken its power":    {SetOperator{"ann", false}, ErrConflict},
		"last operator disabled":           {DisableAccount{"ann", true}, ErrConflict},
		"operator that is a project":       {SetOperator{"acme", true}, ErrInvalid},
		"operator that is nobody":          {SetOperator{"nobody", true}, ErrNotFound},
		"nobody disabled":                  {DisableAccount{"nobody", true}, ErrNotFound},
		"negative quota":                   {SetQuota{"acme", Quota{Instances: number(-2)}}, ErrInvalid},
		"absurd quota":                     {SetQuota{"acme", Quota{Tokens: number(maxQuota + 1)}}, ErrInvalid},
		"quota that overflows":             {SetQuota{"acme", Quota{Computers: number(1<<63 - 1)}}, ErrInvalid},
		"quota of nobody":                  {SetQuota{"nobody", Quota{Instances: number(1)}}, ErrNotFound},
		"token of a reserved name":         {token(CreateToken{Role: RoleUser, Account: "peer-p9"}), ErrInvalid},
		"token with an unknown scope":      {token(CreateToken{Role: RoleUser, Scopes: []string{"everything"}}), ErrInvalid},
		"token with strange scopes":        {token(CreateToken{Role: RoleUser, Scopes: []string{"re\x00ad"}}), ErrInvalid},
		"token with many scopes":           {token(CreateToken{Role: RoleUser, Scopes: slices.Repeat([]string{"read"}, 99)}), ErrInvalid},
		"token that admits, with scopes":   {token(CreateToken{Role: RoleComputer, Scopes: []string{"read"}}), ErrInvalid},
		"token that admits, for a project": {token(CreateToken{Role: RoleVoter, Project: "acme"}), ErrInvalid},
		"token for another's project":      {token(CreateToken{Role: RoleUser, Project: "acme"}), ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			w := given(t, acme)
			_, err := w.Decide(tc.when, Context{w.at, AsPeer("p1")})
			if CodeOf(err) != tc.then {
				t.Errorf("err = %v (%q), want %q", err, CodeOf(err), tc.then)
			}
			_, mere := w.Decide(tc.when, Context{w.at, AsAccount("zoe")})
			for _, err := range []error{err, mere} { // a terminal shows it
				if err != nil && !printable(err.Error()) {
					t.Errorf("%q does not print", err)
				}
			}
		})
	}
}

// TestProjectsAreBounded: who makes more than its share is refused, in an open
// mesh sooner.
func TestProjectsAreBounded(t *testing.T) {
	for mesh, most := range map[string]int{"": MaxProjects, " open": MaxOpenProjects} {
		w := given(t, "system found commons ann p1"+mesh+"\np1 user bob\n")
		for n := range most {
			w.mustAsk(AsAccount("bob"), CreateProject{Name: AccountName(fmt.Sprint("x", n))})
		}
		if _, err := w.ask(AsAccount("bob"), CreateProject{Name: "y"}); CodeOf(err) != ErrExhausted {
			t.Errorf("%s: %v", mesh, err)
		}
		w.mustAsk(AsAccount("bob"), DeleteProject{"x0"})
		w.mustAsk(AsAccount("bob"), CreateProject{Name: "y"})
		if err := w.check(); err != nil {
			t.Error(err)
		}
	}
}

// TestMembershipsAreBounded: neither a project nor a user is swamped.
func TestMembershipsAreBounded(t *testing.T) {
	w := given(t, home+"p1 user bob\np1 project acme\n")
	for n := range MaxMembers - 1 {
		name := AccountName(fmt.Sprint("u", n))
		w.mustAsk(AsPeer("p1"), CreateUser{name})
		w.mustAsk(AsPeer("p1"), SetMember{"acme", name, RoleViewer})
	}
	if _, err := w.ask(AsPeer("p1"), SetMember{"acme", "bob", RoleViewer}); CodeOf(err) != ErrExhausted {
		t.Errorf("one more member: %v", err)
	}
	for n := range MaxMemberships {
		name := AccountName(fmt.Sprint("x", n))
		w.mustAsk(System(), CreateProject{name, "u2"})
		w.mustAsk(System(), SetMember{name, "bob", RoleViewer})
		if n == MaxMemberships-2 {
			break // u2 is in acme as well
		}
	}
	if _, err := w.ask(System(), CreateProject{"y", "u2"}); CodeOf(err) != ErrExhausted {
		t.Errorf("one more project: %v", err)
	}
}

// TestSliceOfAProject: a peer is shown the projects of its account, and no
// more of them than the role allows; what it is shown follows the role.
func TestSliceOfAProject(t *testing.T) {
	w := given(t, acme+`
		@dave request a web 1 account=acme secret=1
		p1 report acme a started url=secret
		p1 token joins2 computer zoe
		p1 admit p3 joins2
	`)
	if i, _ := w.InstanceByReference("acme", "a"); i.Computer != "p1" {
		w.run("p2 report acme a started url=secret")
	}
	var last Viewer
	for _, step := range []struct {
		given             string
		sees, secrets, of bool // the instance, its secrets, and the token
	}{
		{"", false, false, false},
		{"p1 member acme zoe viewer", true, false, false},
		{"p1 member acme zoe developer", true, true, false},
		{"p1 member acme zoe owner", true, true, true},
		{"p1 unmember acme zoe", false, false, false},
	} {
		if step.given != "" {
			w.run(step.given)
		}
		v, err := w.Viewer("p3")
		if err != nil || step.given != "" && v == last {
			t.Fatalf("%s: the viewer is still %v: %v", step.given, v, err)
		}
		last = v
		s := NewPartial()
		for f := range w.FullFrames(v) {
			if _, err := s.Merge(f); err != nil {
				t.Fatal(err)
			}
		}
		i, sees := s.InstanceByReference("acme", "a")
		token, of := s.TokenByDigest(digestOfToken("key"))
		if sees != step.sees || (len(i.Parameters)+len(i.Connection) == 2) != step.secrets || of != step.of || len(i.Parameters) != len(i.Connection) {
			t.Errorf("%s: sees %v %v, token %v", step.given, sees, i, token)
		}
		if again, err := s.Viewer("p3"); err != nil || again != v {
			t.Errorf("%s: the slice says %v, the ledger %v: %v", step.given, again, v, err)
		}
	}
}

// TestDeletedProjectIsKept: as long as a bill speaks of it nobody gets its
// name; then it is forgotten.
func TestDeletedProjectIsKept(t *testing.T) {
	w := given(t, home+`
		p1 project acme
		p1 request a web 1 account=acme
		p1 destroy a account=acme
		p1 report acme a destroyed
		p1 delete-project acme
	`)
	if a, ok := w.Account("acme"); !ok || a.Deleted.IsZero() {
		t.Errorf("after it was deleted: %+v", a)
	}
	for _, line := range []string{"p1 project acme", "p1 user acme", "p1 token t user acme", "p1 member acme ann owner", "p1 quota acme instances=1", "p1 disable acme"} {
		if out := w.run(line); !strings.HasPrefix(out, "!") {
			t.Errorf("%s: %s", line, out)
		}
	}
	if out := w.run("p1 delete-project acme"); out != "" {
		t.Errorf("again: %s", out)
	}
	if err := w.check(); err != nil {
		t.Error(err)
	}
	for range MaxDestroyed {
		w.run("p1 request b web 1")
		w.run("p1 destroy b")
		w.run("p1 report ann b destroyed")
	}
	if a, ok := w.Account("acme"); ok {
		t.Errorf("it is remembered for ever: %+v", a)
	}
	if out := w.run("p1 project acme"); strings.HasPrefix(out, "!") {
		t.Errorf("its name is not free: %s", out)
	}
	if err := w.check(); err != nil {
		t.Error(err)
	}
}
