package rest

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

// maxWait bounds how long a request may ask to be held.
const maxWait = time.Hour

func (s *Server) instances() {
	instance := reflect.TypeFor[protocol.Instance]()
	reference := parameter("path", "reference", "string", "the requester's own reference")
	account := parameter("query", "account", "string", "whose instance; the caller's own, if not given")
	wait := parameter("query", "wait", "string", "answer when it is as requested, but after this duration at the latest, such as 30s")
	watch := parameter("query", "watch", "boolean", "answer with server-sent events: each value is an instance, now and whenever it changes")
	underWay := map[string]*huma.Response{
		"200": s.says("It is as requested", instance),
		"202": s.says("Accepted; it is on its way", instance),
	}

	s.direct(huma.Operation{
		OperationID: "request", Method: http.MethodPost, Path: "/v1/instances", Tags: []string{"instances"},
		Summary:    "Create an instance, or change it; the same request again changes nothing",
		Parameters: []*huma.Param{wait}, RequestBody: s.takes(reflect.TypeFor[protocol.RequestInput]()), Responses: underWay,
	}, s.request)
	s.direct(huma.Operation{
		OperationID: "list-instances", Method: http.MethodGet, Path: "/v1/instances", Tags: []string{"instances"},
		Summary:    "Your instances",
		Parameters: []*huma.Param{account, parameter("query", "all", "boolean", "of all accounts; operators only"), watch},
		Responses:  map[string]*huma.Response{"200": s.says("The instances", reflect.TypeFor[[]protocol.Instance]())},
	}, s.list)
	s.direct(huma.Operation{
		OperationID: "show-instance", Method: http.MethodGet, Path: "/v1/instances/{reference}", Tags: []string{"instances"},
		Summary:    "One instance, with its recent events",
		Parameters: []*huma.Param{reference, account, watch},
		Responses:  map[string]*huma.Response{"200": s.says("The instance", instance)},
	}, s.show)
	s.direct(huma.Operation{
		OperationID: "set-state", Method: http.MethodPut, Path: "/v1/instances/{reference}/state", Tags: []string{"instances"},
		Summary:    "Start, stop or destroy an instance",
		Parameters: []*huma.Param{reference, account, wait}, RequestBody: s.takes(reflect.TypeFor[protocol.StateInput]()), Responses: underWay,
	}, s.setState)
}

// request is the call that everybody waits for: it is decoded and checked by
// hand, which costs half of what a walk over its schema does.
func (s *Server) request(w http.ResponseWriter, r *http.Request) error {
	var in protocol.RequestInput
	if err := decode(r, &in); err != nil {
		return err
	}
	if err := in.Check(); err != nil {
		return err
	}
	wait, err := waitOf(r)
	if err != nil {
		return err
	}
	instance, err := serviceOf(r.Context()).Request(r.Context(), in)
	return s.settle(w, r, wait, instance, err)
}

func (s *Server) setState(w http.ResponseWriter, r *http.Request) error {
	var in protocol.StateInput
	if err := decode(r, &in); err != nil {
		return err
	}
	switch in.State {
	case protocol.RequestStarted, protocol.RequestStopped, protocol.RequestDestroyed:
	default:
		return protocol.Errorf(protocol.ErrInvalid, "state %.40q is none of started, stopped, destroyed", in.State)
	}
	wait, err := waitOf(r)
	if err != nil {
		return err
	}
	instance, err := serviceOf(r.Context()).SetState(r.Context(), refOf(r), in.State)
	return s.settle(w, r, wait, instance, err)
}

// settle answers with an instance, after waiting for it if that was asked.
func (s *Server) settle(w http.ResponseWriter, r *http.Request, wait time.Duration, i protocol.Instance, err error) error {
	if err != nil {
		return err
	}
	if wait > 0 && !i.Settled() {
		if i, err = waited(r.Context(), serviceOf(r.Context()), wait, i); err != nil {
			return err
		}
	}
	status := http.StatusOK
	if !i.Settled() {
		status = http.StatusAccepted
	}
	s.answer(w, r, status, i.Filled())
	return nil
}

// waited follows an instance for a while. One that goes into error, or that
// does not get there in time, is an answer as well.
func waited(ctx context.Context, v protocol.Service, wait time.Duration, i protocol.Instance) (protocol.Instance, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	last, err := protocol.Wait(ctx, v, protocol.Ref{Reference: i.Reference, Account: i.Account}, nil)
	if last.Reference == "" {
		last = i
	}
	if last.State == protocol.StateError || errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	return last, err
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	all, err := flag(query, "all")
	if err != nil {
		return err
	}
	q := protocol.InstanceQuery{Account: query.Get("account"), All: all}
	if watch, err := flag(query, "watch"); err != nil || watch {
		return errOr(err, func() error { return s.watch(w, r, q) })
	}
	instances, err := serviceOf(r.Context()).Instances(r.Context(), q)
	if err != nil {
		return err
	}
	s.answer(w, r, http.StatusOK, filled(instances))
	return nil
}

func (s *Server) show(w http.ResponseWriter, r *http.Request) error {
	ref := refOf(r)
	instance, err := serviceOf(r.Context()).Instance(r.Context(), ref)
	if err != nil {
		return err
	}
	if watch, err := flag(r.URL.Query(), "watch"); err != nil || watch {
		return errOr(err, func() error {
			return s.watch(w, r, protocol.InstanceQuery{Reference: ref.Reference, Account: ref.Account})
		})
	}
	s.answer(w, r, http.StatusOK, instance.Filled())
	return nil
}

func errOr(err error, f func() error) error {
	if err != nil {
		return err
	}
	return f()
}

func refOf(r *http.Request) protocol.Ref {
	return protocol.Ref{Reference: r.PathValue("reference"), Account: r.URL.Query().Get("account")}
}

// flag reads a parameter that is true by being there, as in "?watch".
func flag(query url.Values, name string) (bool, error) {
	if !query.Has(name) {
		return false, nil
	}
	if query.Get(name) == "" {
		return true, nil
	}
	v, err := strconv.ParseBool(query.Get(name))
	if err != nil {
		return false, protocol.Errorf(protocol.ErrInvalid, "%s is %.40q: true or false wanted", name, query.Get(name))
	}
	return v, nil
}

func waitOf(r *http.Request) (time.Duration, error) {
	if r.URL.RawQuery == "" {
		return 0, nil
	}
	text := r.URL.Query().Get("wait")
	if text == "" {
		return 0, nil
	}
	wait, err := time.ParseDuration(text)
	if err != nil || wait < 0 || wait > maxWait {
		return 0, protocol.Errorf(protocol.ErrInvalid, "wait is %.40q: a duration of at most %v wanted, such as 30s", text, maxWait)
	}
	return wait, nil
}
