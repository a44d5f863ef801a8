package ledger

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/slapmesh/slapmesh/ledger/book"
	"github.com/slapmesh/slapmesh/ledger/placement"
)

// Request asks that an instance be so. It is idempotent by account and
// reference: the first one allocates the instance, a later one changes what
// it names and keeps the rest, and the same again changes nothing.
type Request struct {
	Account   AccountName `cbor:"1,keyasint,omitempty"` // the caller's if empty
	Reference Reference   `cbor:"2,keyasint"`

	// Release is what the name meant to the peer that was asked. A request
	// for an instance that runs another release of that name keeps what runs,
	// unless Pinned says that a version or a digest was named.
	Release ReleaseDigest `cbor:"3,keyasint"`
	Pinned  bool          `cbor:"4,keyasint,omitempty"`

	Type string `cbor:"5,keyasint,omitempty"` // default the release's first

	// Parameters are merged into what is there, key by key; a null removes a
	// key. ReplaceParameters drops what is not named.
	Parameters        map[string]json.RawMessage `cbor:"6,keyasint,omitempty"`
	ReplaceParameters bool                       `cbor:"7,keyasint,omitempty"`

	// Filter says which computers will do: see package placement. Nil keeps
	// what is there.
	Filter map[string]string `cbor:"8,keyasint,omitempty"`
	// ReplaceFilter makes an empty Filter mean any computer.
	ReplaceFilter bool `cbor:"9,keyasint,omitempty"`

	Shared bool          `cbor:"10,keyasint,omitempty"`
	State  InstanceState `cbor:"11,keyasint,omitempty"` // default as it is, started if new

	// Avoid names computers that did not answer the peer that was asked: a
	// new instance goes elsewhere if it can. At most [MaxAvoid].
	Avoid []ComputerID `cbor:"12,keyasint,omitempty"`

	// Where is an expression that the computer must meet beside Filter, such
	// as "cores >= 4 and country in [FR, DE]": see package placement. Empty
	// keeps what is there, unless ReplaceFilter is set.
	Where string `cbor:"13,keyasint,omitempty"`

	// Policy says which of the computers that will do is taken: default, pack,
	// spread or cheapest. It matters when the instance is allocated.
	Policy placement.Policy `cbor:"14,keyasint,omitempty"`

	// Needs is what its computer keeps for the instance, Affinity what it is
	// near to and apart from, MaxPrice what an hour of holding what it needs
	// may cost. What is empty keeps its value, unless ReplaceNeeds is set.
	Needs        Needs       `cbor:"15,keyasint,omitzero"`
	Affinity     Affinity    `cbor:"16,keyasint,omitzero"`
	MaxPrice     book.Amount `cbor:"17,keyasint,omitempty"`
	ReplaceNeeds bool        `cbor:"18,keyasint,omitempty"`

	// Parent is the instance that requests this one, whose account it will
	// belong to and in which it is named. Its computer may ask so.
	Parent InstanceID `cbor:"24,keyasint,omitempty"`

	// Scope says whose shared instances this one takes: personal or public.
	// Keep is how long its data is kept when it is destroyed. What is empty
	// keeps its value.
	Scope Scope          `cbor:"25,keyasint,omitempty"`
	Keep  *time.Duration `cbor:"26,keyasint,omitempty"`
}

// Kind returns "request".
func (Request) Kind() string { return "request" }

func (c Request) decide(s *State, x Context) ([]Event, error) {
	account, err := c.requester(s, x)
	if err != nil {
		return nil, err
	}
	if err := c.check(s); err != nil {
		return nil, err
	}
	if err := c.checkNeeds(s); err != nil {
		return nil, err
	}
	if _, ok := s.Account(account); !ok {
		return nil, refuse(ErrNotFound, "request %s: account %s is not known", c.Reference, account.plain())
	}
	release, ok := s.Release(c.Release)
	if !ok {
		return nil, refuse(ErrNotFound, "request %s: release %s is not published", c.Reference, c.Release)
	}
	if was, ok := s.named(account, c.Reference, c.Parent); ok && !was.Settled() {
		return c.change(s, x, was, release)
	}
	if c.State == InstanceDestroyed {
		return nil, nil // it is
	}
	if err := c.mayEnter(s, account, release); err != nil {
		return nil, err
	}
	return c.allocate(s, x, account, release)
}

func (c Request) check(s *State) error {
	if err := checkName("reference", string(c.Reference), MaxReference); err != nil {
		return err
	}
	if err := checkDigest(c.Release); err != nil {
		return err
	}
	if err := checkLabels("filter", c.Filter); err != nil {
		return err
	}
	switch {
	case len(c.Avoid) > MaxAvoid:
		return refuse(ErrInvalid, "request %s: %d computers to avoid, at most %d", c.Reference, len(c.Avoid), MaxAvoid)
	case c.State != "" && !c.State.requestable():
		return refuse(ErrInvalid, "request %s: state %q: started, stopped or destroyed expected", c.Reference, c.State)
	case !c.Policy.Valid():
		return refuse(ErrInvalid, "request %s: policy %.20q: default, pack, spread or cheapest expected", c.Reference, string(c.Policy))
	}
	if _, err := where(c.Where); err != nil {
		return refuse(ErrInvalid, "request %s: %v", c.Reference, err)
	}
	return c.checkShared(s)
}

// where reads an expression. An empty one is none.
func where(text string) (*placement.Expr, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // no expression is one that always holds
	}
	e, err := placement.ParseFilter(text)
	if err != nil {
		return nil, refuse(ErrInvalid, "%v", err)
	}
	return e, nil
}

// merged returns the parameters that result from asking c of what was.
func (c Request) merged(was map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	if sizeOf(c.Parameters) > 2*MaxParameters { // white space will go
		return nil, refuse(ErrInvalid, "request %s: the parameters exceed %d bytes", c.Reference, MaxParameters)
	}
	now := make(map[string]json.RawMessage, len(was)+len(c.Parameters))
	if !c.ReplaceParameters {
		maps.Copy(now, was)
	}
	for _, k := range sortedKeys(c.Parameters) {
		if err := checkName("parameter", k, MaxLabel); err != nil {
			return nil, err
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, c.Parameters[k]); err != nil || !utf8.Valid(c.Parameters[k]) {
			return nil, refuse(ErrInvalid, "request %s: parameter %s: not JSON", c.Reference, k)
		}
		if now[k] = compact.Bytes(); compact.String() == "null" {
			delete(now, k)
		}
	}
	if sizeOf(now) > MaxParameters {
		return nil, refuse(ErrInvalid, "request %s: the parameters exceed %d bytes", c.Reference, MaxParameters)
	}
	return now, nil
}

func sizeOf(parameters map[string]json.RawMessage) (n int) {
	for k, v := range parameters {
		n += len(k) + len(v)
	}
	return n
}

func (c Request) allocate(s *State, x Context, account AccountName, release Release) ([]Event, error) {
	parameters, err := c.merged(nil)
	if err != nil {
		return nil, err
	}
	now := Instance{
		ID: s.counters.Instance + 1, Account: account, Reference: c.Reference,
		Release: release.Digest, ReleaseName: release.Name, Parameters: parameters, Filter: c.Filter, Where: c.Where, Policy: c.Policy,
		Needs: c.Needs, Affinity: c.Affinity, MaxPrice: c.MaxPrice,
		Requested: InstanceStarted, State: InstanceWaiting, Generation: 1, Created: x.At, Changed: x.At,
	}
	now.enter(s, c.Parent)
	now.Shared, now.Scope, now.Retention = c.Shared, c.Scope, valueOr(c.Keep, 0)
	s.ask(x, &now, cmp.Or(c.State, InstanceStarted), nil)
	if now.Type, err = c.typeOf(release, ""); err != nil {
		return nil, err
	}
	if err := c.mayHave(s, x.Principal, account); err != nil {
		return nil, err
	}
	var computer Computer
	if c.Shared {
		computer, err = c.share(s, &now)
	} else {
		computer, err = s.findPlace(x, &now, release, c.Avoid, "")
	}
	if err != nil {
		return nil, err
	}
	e, err := s.allocated(x, now, computer, "request "+string(c.Reference))
	if err != nil {
		return nil, err
	}
	return []Event{e}, nil
}

// findPlace gives now, which is new, a partition and an address, on another
// computer than not.
func (s *State) findPlace(x Context, now *Instance, release Release, avoid []ComputerID, not ComputerID) (Computer, error) {
	want, err := s.want(*now, avoid, release, x.At)
	if err != nil {
		return Computer{}, err
	}
	if not != "" {
		want.NotComputers = append(want.NotComputers, string(not))
	}
	id, err := s.places.Choose(want)
	if err != nil {
		return Computer{}, refuse(ErrExhausted, "%v", err)
	}
	computer, _ := s.Computer(ComputerID(id))
	now.Computer, now.Partition = computer.ID, s.lowestFree(computer)
	now.Address, err = s.nextAddress()
	return computer, err
}

// allocated returns the event that gives now its place, with its bill if the
// mesh bills.
func (s *State) allocated(x Context, now Instance, computer Computer, what string) (Allocated, error) {
	e := Allocated{Instance: now, On: computer.title()}
	if !s.bills() {
		return e, nil
	}
	var err error
	if e.Charge, e.Due, err = s.charge(now, x.At); err != nil {
		return e, err
	}
	if err := s.afford(e.Charge, e.Due, what); err != nil {
		return e, err
	}
	return e, newTill(s).take(e.Due)
}

// typeOf returns the type that c asks of a release, where was is what runs.
func (c Request) typeOf(release Release, was string) (string, error) {
	asked := c.Type
	switch {
	case asked == "" && was != "":
		asked = was
	case asked == "" && len(release.Types) > 0:
		return release.Types[0], nil
	case asked == "":
		return "default", nil
	}
	if len(release.Types) == 0 && asked == "default" || slices.Contains(release.Types, asked) {
		return asked, nil
	}
	return "", refuse(ErrInvalid, "request %s: release %s has no type %.80q; it has %v", c.Reference, release.Name, asked, release.Types)
}

func (c Request) change(s *State, x Context, was Instance, release Release) ([]Event, error) {
	now, err := was, error(nil)
	switch {
	case was.Requested == InstanceDestroyed && c.State == InstanceDestroyed:
		return nil, nil
	case was.Requested == InstanceDestroyed:
		return nil, refuse(ErrConflict, "request %s: it is being destroyed: wait until it is gone", c.Reference)
	case release.Name != was.ReleaseName:
		return nil, refuse(ErrConflict, "request %s: it runs %s: destroy it before it becomes %s", c.Reference, was.ReleaseName, release.Name)
	case c.Shared != was.Shared:
		return nil, refuse(ErrConflict, "request %s: whether it is shared cannot change: destroy it first", c.Reference)
	case c.Pinned && was.Shared && release.Digest != was.Release:
		return nil, refuse(ErrConflict, "request %s: it is inside %s, which runs %s", c.Reference, was.Host, was.Release)
	case c.Pinned:
		now.Release = release.Digest
	default:
		release, _ = s.Release(was.Release)
	}
	if now.Type, err = c.typeOf(release, was.Type); err != nil {
		return nil, err
	}
	if now.Type != was.Type && (was.Shared || s.countShared(was.ID) > 0) {
		return nil, refuse(ErrConflict, "request %s: a shared instance and its host are of one type: destroy what is shared first", c.Reference)
	}
	if now.Parameters, err = c.merged(was.Parameters); err != nil {
		return nil, err
	}
	if err := c.refilter(s, was, &now); err != nil {
		return nil, err
	}
	if c.Policy != "" {
		now.Policy = c.Policy
	}
	if err := c.resize(s, was, &now); err != nil {
		return nil, err
	}
	if err := s.mayNeed(was.Account, "request "+string(c.Reference), false, was.Needs, now.Needs); err != nil {
		return nil, err
	}
	if err := c.reattach(s, x, was, &now, release); err != nil {
		return nil, err
	}
	now.Scope, now.Retention = cmp.Or(c.Scope, was.Scope), valueOr(c.Keep, was.Retention)
	if state := c.State; state != "" || !was.Kept.IsZero() {
		s.ask(x, &now, cmp.Or(state, InstanceStarted), nil)
	}
	if err := s.mayStart(was, now); err != nil {
		return nil, err
	}
	return s.turn(x, was, now), nil
}

// refilter notes what the computer of an instance must be from now on, if it
// is that.
func (c Request) refilter(s *State, was Instance, now *Instance) error {
	if c.Filter != nil || c.ReplaceFilter {
		now.Filter = c.Filter
	}
	if c.Where != "" || c.ReplaceFilter {
		now.Where = c.Where
	}
	if maps.Equal(now.Filter, was.Filter) && now.Where == was.Where {
		return nil
	}
	if was.Shared {
		return c.refilterShared(s, was, *now)
	}
	expr, err := where(now.Where)
	if err != nil {
		return err
	}
	if ok, _ := s.places.Meets(string(was.Computer), placement.Want{Filter: now.Filter, Expr: expr}); !ok {
		computer, _ := s.Computer(was.Computer)
		return refuse(ErrConflict, "request %s: it is on %s, which the new filter excludes: destroy it and request it again", c.Reference, computer.title())
	}
	return nil
}

// changed returns the event that makes now of was, if they differ. If the
// partition has to act, the generation rises and the observed state begins
// anew. What a stopped instance will be once it is started is no reason. See
// [State.turn] for what follows from it.
func (s *State) changed(x Context, was, now Instance) []Event {
	turned := now.Requested != was.Requested
	other := now.Release != was.Release || now.Type != was.Type ||
		!sameParameters(now.Parameters, was.Parameters)
	if !turned && !other && now.sameAsked(was) && maps.Equal(now.Filter, was.Filter) && now.Where == was.Where && now.Policy == was.Policy && now.sameDemands(was) {
		return nil
	}
	act := turned || other && now.Requested == InstanceStarted
	now.Changed = x.At
	if act {
		now.Generation++
		now.Reason = ""
		now.State = expected(now.Requested, was.State)
		now.Healthy = false
	}
	var follows []Event
	if turned && now.From != 0 {
		follows = s.takeAlong(x, now)
	}
	computer, ok := s.Computer(was.Computer)
	switch {
	case now.Requested != InstanceDestroyed:
	case now.Shared:
		return []Event{freed(now, x.At)} // nobody reports it
	case !ok || computer.State == ComputerLeft:
		return append([]Event{cut(now, x.At)}, follows...) // nobody will
	}
	return append([]Event{Changed{now}}, follows...)
}

// expected returns the state of an instance of which something else was just
// requested, until its computer reports.
func expected(requested, was InstanceState) InstanceState {
	switch {
	case requested != InstanceStarted && was == InstanceStopped:
		return InstanceStopped
	case requested != InstanceStarted:
		return InstanceStopping
	case was == InstanceWaiting || was == InstanceBuilding:
		return was
	}
	return InstanceStarting
}
