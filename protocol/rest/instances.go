package rest

import (
	"cmp"
	"context"
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

type requestCall struct {
	Wait string `query:"wait" maxLength:"20" doc:"answer when it is as requested, but after this duration at the latest, such as 30s"`
	Body protocol.RequestInput
}

type stateCall struct {
	Reference string `path:"reference" doc:"the requester's own reference"`
	Account   string `query:"account" maxLength:"64" doc:"whose instance; the caller's own, if not given"`
	Wait      string `query:"wait" maxLength:"20" doc:"answer when it is as requested, but after this duration at the latest, such as 30s"`
	Body      protocol.StateInput
}

func (s *Server) instances() {
	instance := reflect.TypeFor[protocol.Instance]()
	underWay := func() map[string]*huma.Response {
		return map[string]*huma.Response{"202": s.says("Accepted; it is on its way", instance)}
	}
	registerReply(s, huma.Operation{
		OperationID: "request", Method: http.MethodPost, Path: "/v1/instances", Tags: []string{"instances"},
		Summary: "Create an instance, or change it; the same request again changes nothing", Responses: underWay(),
	}, func(ctx context.Context, v protocol.Service, in *requestCall) (*reply[protocol.Instance], error) {
		wait, err := waitOf(in.Wait)
		if err = cmp.Or(err, in.Body.Check()); err != nil {
			return nil, err
		}
		i, err := v.Request(ctx, in.Body)
		return settle(ctx, v, wait, i, err)
	})
	registerReply(s, huma.Operation{
		OperationID: "set-state", Method: http.MethodPut, Path: "/v1/instances/{reference}/state", Tags: []string{"instances"},
		Summary: "Start, stop or destroy an instance", Responses: underWay(),
	}, func(ctx context.Context, v protocol.Service, in *stateCall) (*reply[protocol.Instance], error) {
		wait, err := waitOf(in.Wait)
		if err != nil {
			return nil, err
		}
		ref := protocol.Ref{Reference: in.Reference, Account: in.Account}
		if in.Body.Keep == "" {
			i, err := v.SetState(ctx, ref, in.Body.State)
			return settle(ctx, v, wait, i, err)
		}
		if in.Body.State != protocol.RequestDestroyed {
			return nil, protocol.Errorf(protocol.ErrInvalid, "keep %.40q: only what is destroyed is kept for a while", in.Body.Keep)
		}
		i, err := v.Destroy(ctx, ref, in.Body.Keep)
		return settle(ctx, v, wait, i, err)
	})

	reference := parameter("path", "reference", "string", "the requester's own reference")
	account := parameter("query", "account", "string", "whose instance; the caller's own, if not given")
	watch := parameter("query", "watch", "boolean", "answer with server-sent events: each \"instance\" is one, now and whenever it changes; an \"error\" is the last")
	s.direct(huma.Operation{
		OperationID: "list-instances", Method: http.MethodGet, Path: "/v1/instances", Tags: []string{"instances"},
		Summary:    "Your instances",
		Parameters: []*huma.Param{account, parameter("query", "all", "boolean", "of all accounts; operators only"), watch},
		Responses:  map[string]*huma.Response{"200": streams(s.says("The instances", reflect.TypeFor[[]protocol.Instance]()))},
	}, s.list)
	s.direct(huma.Operation{
		OperationID: "show-instance", Method: http.MethodGet, Path: "/v1/instances/{reference}", Tags: []string{"instances"},
		Summary:    "One instance, with its recent events",
		Parameters: []*huma.Param{reference, account, watch},
		Responses:  map[string]*huma.Response{"200": streams(s.says("The instance", instance))},
	}, s.show)
}

// streams adds that an answer may be a stream of events.
func streams(r *huma.Response) *huma.Response {
	r.Content["text/event-stream"] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	return r
}

// settle answers with an instance, after waiting for it if that was asked.
func settle(ctx context.Context, v protocol.Service, wait time.Duration, i protocol.Instance, err error) (*reply[protocol.Instance], error) {
	if err == nil && wait > 0 && !i.Settled() {
		i, err = waited(ctx, v, wait, i)
	}
	if err != nil {
		return nil, err
	}
	return &reply[protocol.Instance]{Status: statusOf(i, http.StatusOK), Body: i.Filled()}, nil
}

// statusOf tells an instance that is as requested from one on its way.
func statusOf(i protocol.Instance, settled int) int {
	if i.Settled() {
		return settled
	}
	return http.StatusAccepted
}

// waited follows an instance for a while. One that goes into error, or that
// does not get there in time, is an answer as well.
func waited(ctx context.Context, v protocol.Service, wait time.Duration, i protocol.Instance) (protocol.Instance, error) {
	ctx, stop := untilStop(ctx)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	last, err := protocol.Wait(ctx, v, protocol.Ref{Reference: i.Reference, Account: i.Account}, nil)
	if last.Reference == "" {
		last = i
	}
	if last.State == protocol.StateError || ctx.Err() != nil {
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

func waitOf(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	wait, err := time.ParseDuration(text)
	if err != nil || wait < 0 || wait > maxWait {
		return 0, protocol.Errorf(protocol.ErrInvalid, "wait is %q: a duration of at most %v wanted, such as 30s", text, maxWait)
	}
	return wait, nil
}
