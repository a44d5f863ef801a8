package ledger

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"time"
)

// parsePeople reads lines such as "p1 member acme bob developer".
func (w *world) parsePeople(verb string, a []string, values map[string]string) Command {
	w.Helper()
	switch verb {
	case "user": // NAME
		return CreateUser{AccountName(a[0])}
	case "disable", "enable": // ACCOUNT
		return DisableAccount{AccountName(a[0]), verb == "disable"}
	case "operator": // ACCOUNT on|off
		return SetOperator{AccountName(a[0]), a[1] == "on"}
	case "project": // NAME [OWNER]
		return CreateProject{AccountName(a[0]), AccountName(a[1])}
	case "member": // PROJECT ACCOUNT ROLE
		return SetMember{AccountName(a[0]), AccountName(a[1]), MemberRole(a[2])}
	case "unmember": // PROJECT [ACCOUNT]
		return RemoveMember{AccountName(a[0]), AccountName(a[1])}
	case "delete-project": // NAME
		return DeleteProject{AccountName(a[0])}
	case "ask": // on|off
		return SetAdmission{a[0] == "on"}
	case "apply": // PEER
		return Apply{PeerID(a[0]), a[0], publicKeyOf(a[0]), "192.0.2.1:7527"}
	case "approve": // PEER ROLE [ACCOUNT]
		return Approve{PeerID(a[0]), Role(a[1]), AccountName(a[2])}
	case "reject": // PEER REASON
		return RefuseApplicant{PeerID(a[0]), a[1]}
	case "rotate": // FORMER NEXT HOURS
		return RotateCA{[]byte(a[0]), []byte(a[1]), w.at.Add(time.Duration(w.number(a[2])) * time.Hour)}
	case "quota": // ACCOUNT kind=N…, -1 lifts
		c := SetQuota{Account: AccountName(a[0])}
		for _, k := range QuotaKinds {
			if text, ok := values[string(k)]; ok {
				most := int64(w.number(text))
				*c.Quota.of(k) = &most
			}
		}
		return c
	}
	return nil
}

// showPeople lists who belongs where, and what everybody has.
func (w *world) showPeople() (out string) {
	for a := range w.Accounts() {
		t := w.Tally(a.Name)
		out += fmt.Sprintf("%s: %s, operator %v, disabled %v, %d instances, %d computers, %d projects, %d bills\n",
			a.Name, cmp.Or(string(a.Kind), "user"), a.Operator, a.Disabled, t.Instances, t.Computers, t.Projects, t.bills)
		for m := range w.Members(a.Name) {
			out += fmt.Sprintf("  %s: %s\n", m.Account, m.Role)
		}
	}
	return out
}

// checkPeople says what is wrong with accounts and projects, if anything is.
func (w *world) checkPeople() error {
	want := make(map[AccountName]Tally)
	add := func(account AccountName, t Tally) {
		sum := want[account]
		sum.Instances += t.Instances
		sum.Needs = sum.Needs.plus(t.Needs)
		sum.Computers += t.Computers
		sum.Projects += t.Projects
		sum.bills += t.bills
		want[account] = sum
	}
	owners, operators := make(map[AccountName]int), 0
	for _, m := range w.members.all() {
		user, ok := w.Account(m.Account)
		project, known := w.Account(m.Project)
		if !ok || user.Kind != KindUser || !known || !project.Project() {
			return fmt.Errorf("%s is a %s of %s: %v, %v", m.Account, m.Role, m.Project, user, project)
		}
		if m.Role == RoleOwner {
			owners[m.Project]++
		}
		if got, ok := w.Member(m.Project, m.Account); !ok || got != m {
			return fmt.Errorf("%v is not found", m)
		}
		found := false
		for p := range w.Projects(m.Account) {
			found = found || p == m
		}
		if !found {
			return fmt.Errorf("%v is not found by its user", m)
		}
	}
	for a := range w.Accounts() {
		if a.Project() && owners[a.Name] == 0 {
			return fmt.Errorf("project %s has no owner", a.Name)
		}
		if a.Operator && !a.Disabled {
			operators++
		}
		if a.Project() {
			add(a.CreatedBy, Tally{Projects: 1})
		}
	}
	if operators == 0 {
		return fmt.Errorf("nobody operates the mesh")
	}
	for p := range w.Peers() {
		if a, _ := w.Account(p.Account); !p.Revoked && p.Operator != operates(a, p.Role) {
			return fmt.Errorf("peer %s of %s: operator %v", p.ID, a.Name, p.Operator)
		}
		if a, ok := w.Account(p.Account); !p.Revoked && (!ok || !a.Deleted.IsZero()) {
			return fmt.Errorf("peer %s is of %s, which is not there", p.ID, p.Account)
		}
	}
	for i := range w.AllInstances() {
		if !i.Settled() {
			add(i.Account, Tally{Instances: 1, Needs: i.Needs})
		}
	}
	for c := range w.Computers() {
		if c.State != ComputerLeft {
			add(c.Account, Tally{Computers: 1})
		}
	}
	for _, c := range w.charges.all() {
		add(c.Payer, Tally{bills: 1})
		if _, ok := w.Account(c.Payer); !ok {
			return fmt.Errorf("%s pays for %s and is not there", c.Payer, c.Instance)
		}
	}
	for a := range w.Accounts() {
		if got := w.Tally(a.Name); got != want[a.Name] {
			return fmt.Errorf("%s has %+v, want %+v", a.Name, got, want[a.Name])
		}
		delete(want, a.Name)
	}
	if len(want) > 0 || w.tallies.Len() > w.accounts.len() {
		return fmt.Errorf("counted for nobody: %v", want)
	}
	return nil
}

// withinQuotas fails if an event has just given an account more than it may
// have.
func (w *world) withinQuotas(events []Event) {
	w.Helper()
	for _, e := range events {
		switch e := e.(type) {
		case Allocated:
			a, _ := w.Account(e.Instance.Account)
			if most, ok := a.Quota.Get(QuotaInstances); ok && w.Tally(a.Name).Instances > most {
				w.Fatalf("%v: %s may have %d and has %+v", e, a.Name, most, w.Tally(a.Name))
			}
			if most, ok := a.Quota.Get(QuotaCores); ok && e.Instance.Needs.Cores > 0 && w.Tally(a.Name).Needs.Cores > most { // who needs none adds none
				w.Fatalf("%v: %s may have %d thousandths of a core and has %+v", e, a.Name, most, w.Tally(a.Name))
			}
			if most, ok := a.Quota.Get(QuotaBandwidth); ok && e.Instance.Needs.Bandwidth > 0 && w.Tally(a.Name).Needs.Bandwidth > most {
				w.Fatalf("%v: %s may have %d bits per second and has %+v", e, a.Name, most, w.Tally(a.Name))
			}
		case TokenCreated:
			a, _ := w.Account(e.Token.Account)
			usable := int64(0)
			for t := range w.Tokens(a.Name) {
				if !t.Dead(w.counters.At) {
					usable++
				}
			}
			if most, ok := a.Quota.Get(QuotaTokens); ok && usable > most {
				w.Fatalf("%v: %s may have %d and has %d", e, a.Name, most, usable)
			}
		}
	}
}

// randomPeople returns something about accounts that might be asked.
func randomPeople(r *rand.Rand, p Principal) (Principal, Command) {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	project := AccountName(pick("acme", "acme", "acme", "lab", "lab", "ann"))
	account := AccountName(pick("ann", "bob", "bob", "zoe", "acme", "peer-p5"))
	switch r.IntN(5) { // who may is not always who asks
	case 0:
		p = AsAccount(AccountName(pick("ann", "bob", "zoe")))
	case 1:
		p = System()
	}
	switch r.IntN(12) {
	case 0, 1:
		return p, CreateProject{project, AccountName(pick("", "", "bob", "ann"))}
	case 2, 3, 4:
		return p, SetMember{project, account, MemberRole(pick("owner", "developer", "viewer", "king"))}
	case 5:
		return p, RemoveMember{project, account}
	case 6:
		return p, DeleteProject{project}
	case 7:
		return p, CreateUser{AccountName(pick("bob", "zoe", "acme"))}
	case 8:
		return p, DisableAccount{account, account != "ann" && r.IntN(4) == 0}
	case 9:
		return System(), SetOperator{"ann", true}
	case 10:
		return System(), SetOperator{account, r.IntN(2) == 0}
	}
	n := int64(r.IntN(12) - 2)
	if n *= []int64{1, 1000, 1e8}[r.IntN(3)]; r.IntN(3) == 0 {
		n = noQuota
	}
	return p, SetQuota{AccountName(pick("bob", "acme", "lab")), Quota{}.With(QuotaKinds[r.IntN(len(QuotaKinds))], 0).and(n)}
}

// and returns q with each bound that it has set to n.
func (q Quota) and(n int64) Quota {
	for _, k := range QuotaKinds {
		if *q.of(k) != nil {
			*q.of(k) = &n
		}
	}
	return q
}

// narrowRandomly gives a token scopes and a project, now and then.
func (c *CreateToken) narrowRandomly(r *rand.Rand) {
	if r.IntN(2) == 0 {
		c.Scopes = []string{RightRead.Names()[0], AllRights.Names()[r.IntN(4)]}
	}
	if r.IntN(3) == 0 {
		c.Project = AccountName([]string{"acme", "lab"}[r.IntN(2)])
	}
}

// randomApplicant draws a command about those who ask to join, or the CA.
func randomApplicant(r *rand.Rand, p Principal, at time.Time) (Principal, Command) {
	id := fmt.Sprint("p", 5+r.IntN(2))
	return p, []Command{
		SetAdmission{r.IntN(4) > 0},
		Apply{PeerID(id), "x", publicKeyOf(id), ""},
		Approve{PeerID(id), []Role{RoleVoter, RoleComputer, RoleUser}[r.IntN(3)], []AccountName{"", "ann", "bob"}[r.IntN(3)]},
		RefuseApplicant{PeerID(id), "no"},
		RotateCA{[]byte{byte(r.IntN(3))}, []byte{byte(r.IntN(3))}, at.Add(time.Hour)},
	}[r.IntN(5)]
}
