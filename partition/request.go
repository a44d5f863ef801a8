package partition

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition/release"
)

// A Requester asks the mesh for what instances of this computer need.
type Requester interface {
	// Request makes r be a child of parent, which is here. The same again
	// changes nothing.
	Request(ctx context.Context, parent ledger.Instance, r release.Request) error
}

// nobody is the requester of who has none.
type nobody struct{}

// Request refuses.
func (nobody) Request(context.Context, ledger.Instance, release.Request) error {
	return errors.New("there is no mesh here to request instances from")
}

// Ask requests what an instance needs and does not have yet.
type Ask struct {
	Instance  ledger.Instance
	Requests  []release.Request
	requester Requester
}

// String names the instance and what it calls the others.
func (s Ask) String() string {
	names := make([]string, len(s.Requests))
	for n, r := range s.Requests {
		names[n] = r.Reference
	}
	return fmt.Sprintf("request %s for %s in p%d", strings.Join(names, " "), s.Instance.ID, s.Instance.Partition)
}

// Do requests all, and says what was refused.
func (s Ask) Do(ctx context.Context, _ Host) (Result, error) {
	var errs []error
	for _, r := range s.Requests {
		if err := s.requester.Request(ctx, s.Instance, r); err != nil {
			errs = append(errs, fmt.Errorf("requests %s: %w", r.Reference, err))
		}
	}
	return Result{}, errors.Join(errs...)
}

// childrenOf lists what an instance requested.
func (w Wanted) childrenOf(id ledger.InstanceID) []ledger.Instance {
	var out []ledger.Instance
	for _, i := range w.Children {
		if i.Parent == id {
			out = append(out, i)
		}
	}
	return out
}

// unasked returns those requests that no child answers: it is not there, or
// it is another than was asked for.
func (w Wanted) unasked(requests []release.Request, children []ledger.Instance) []release.Request {
	var out []release.Request
	for _, r := range requests {
		if !slices.ContainsFunc(children, func(c ledger.Instance) bool { return answers(c, w.Versions[c.Release], r) }) {
			out = append(out, r)
		}
	}
	return out
}

// answers says whether a child is as it was requested. What others, such as
// its owner, said of it beside that is left alone.
func answers(c ledger.Instance, version string, r release.Request) bool {
	name, want, pinned := strings.Cut(r.Release, "@")
	switch {
	case string(c.Reference) != r.Reference || c.Shared != r.Shared || r.Type != "" && c.Type != r.Type:
		return false
	case string(c.Release) != r.Release && c.ReleaseName != name:
		return false
	case pinned && version != want:
		return false
	}
	for key, value := range r.Parameters {
		if !sameJSON(c.Parameters[key], value) {
			return false
		}
	}
	return true
}

// sameJSON compares two values but for the space in them.
func sameJSON(a, b json.RawMessage) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}

// hasPublished says whether a child was started once, so that what it
// publishes is known.
func hasPublished(c ledger.Instance) bool {
	return c.State == ledger.InstanceStarted || len(c.Connection) > 0
}

// lacking lists the requests that have published nothing yet.
func lacking(requests []release.Request, children []ledger.Instance) []string {
	var out []string
	for _, r := range requests {
		if !slices.ContainsFunc(children, func(c ledger.Instance) bool { return string(c.Reference) == r.Reference && hasPublished(c) }) {
			out = append(out, r.Reference)
		}
	}
	return out
}

// planAsk requests what an instance needs, once its profile has said so.
func (p *planner) planAsk(i ledger.Instance, place Place) {
	if place.Asking || p.now.Before(place.Asked.Add(viewLag)) || !place.Ask.ready(p.now, i.Order()) || place.Applied != i.Order() {
		return
	}
	if requests := p.w.unasked(place.Requests, p.w.childrenOf(i.ID)); len(requests) > 0 {
		p.starts = append(p.starts, Ask{Instance: i, Requests: requests})
	}
}

// finishAsk takes note of what became of requests.
func (a *Agent) finishAsk(s Ask, e ending) {
	n := s.Instance.Partition
	place, ok := a.have.Places[n]
	if !ok || place.Instance != s.Instance.ID {
		return
	}
	place.Asking = false
	switch now := a.cfg.Clock(); {
	case e.err == nil:
		place.Ask, place.Asked = Trial{}, now
	case !e.cancelled:
		place.Ask = place.Ask.fail(now, e.order, e.err)
	}
	a.have.Places[n] = place
}

// reportWaiting says which of the instances that it requested holds one up.
func reportWaiting(r *ledger.InstanceReport, place Place, children []ledger.Instance) {
	r.State, r.Healthy = ledger.InstanceStarting, false
	if place.Ask.Failures > 0 {
		r.Reason = clip(place.Ask.Why)
		if place.Ask.hopeless() {
			r.State = ledger.InstanceError
		}
		return
	}
	name := place.Lacks[0]
	r.Reason = "waits for " + name + ", which is requested"
	for _, c := range children {
		if string(c.Reference) != name {
			continue
		}
		r.Reason = fmt.Sprintf("waits for %s, which is %s", name, c.State)
		if c.Reason != "" {
			r.Reason += ": " + c.Reason
		}
		if c.State == ledger.InstanceError {
			r.State = ledger.InstanceError
		}
		break
	}
	r.Reason = clip(r.Reason)
}

// childInputs are the children as a profile sees them.
func childInputs(children []ledger.Instance) map[string]release.Child {
	out := make(map[string]release.Child, len(children))
	for _, c := range children {
		if !hasPublished(c) {
			continue
		}
		published := c.Connection
		if published == nil {
			published = map[string]string{}
		}
		out[string(c.Reference)] = release.Child{Published: published}
	}
	return out
}

// nextAsk is when an instance may request again what it lacks.
func (p Place) nextAsk() []time.Time { return []time.Time{p.Ask.Next, p.Asked.Add(viewLag)} }
