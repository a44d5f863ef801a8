package rest

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

// format writes and reads JSON. huma looks it up by media type, and by what
// follows the plus in one.
func format() huma.Format {
	return huma.Format{
		Marshal:   func(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) },
		Unmarshal: json.Unmarshal,
	}
}

// document is the head of the OpenAPI document, and how huma is to answer.
func (s *Server) document() huma.Config {
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       "slapd",
				Version:     s.cfg.Version,
				Description: "Ask any peer of a mesh for software instances. Every refusal is a problem with a code.",
			},
			Components: &huma.Components{
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token": {Type: "http", Scheme: "bearer", Description: "slapd token create --role user"},
				},
			},
			Security: []map[string][]string{{"token": {}}},
		},
		OpenAPIPath:   "/openapi",
		Formats:       map[string]huma.Format{"application/json": format(), "json": format()},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{translate},
	}
}

// reply is what huma writes.
type reply[T any] struct {
	Status   int    // 0 is the usual one
	Location string `header:"Location"`
	Body     T
}

// none is for calls that take nothing, or say nothing.
type none struct{}

// register adds a call that huma decodes, checks and documents.
func register[I, O any](s *Server, op huma.Operation, f func(context.Context, protocol.Service, *I) (O, error)) {
	registerReply(s, op, func(ctx context.Context, v protocol.Service, in *I) (*reply[O], error) {
		out, err := f(ctx, v, in)
		return &reply[O]{Status: cmp.Or(op.DefaultStatus, http.StatusOK), Body: out}, err
	})
}

// registerQuiet is register for calls that answer with nothing.
func registerQuiet[I any](s *Server, op huma.Operation, f func(context.Context, protocol.Service, *I) error) {
	registerReply(s, op, func(ctx context.Context, v protocol.Service, in *I) (*none, error) {
		return nil, f(ctx, v, in)
	})
}

// registerReply is register for calls that choose their status.
func registerReply[I, R any](s *Server, op huma.Operation, f func(context.Context, protocol.Service, *I) (*R, error)) {
	s.describe(&op)
	op.BodyReadTimeout = -1 // the body is here already, see readBody
	op.MaxBodyBytes = maxBody
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*R, error) {
		out, err := f(ctx, serviceOf(ctx), in)
		if err != nil {
			return nil, &humaProblem{s.report(ctx, op.Method, op.Path, err)}
		}
		return out, nil
	})
}

// direct adds a call that is handled here and only documented by huma, because
// it streams or may be asked to.
func (s *Server) direct(op huma.Operation, f func(http.ResponseWriter, *http.Request) error) {
	s.describe(&op)
	s.api.OpenAPI().AddOperation(&op)
	s.mux.HandleFunc(op.Method+" "+op.Path, func(w http.ResponseWriter, r *http.Request) {
		if err := f(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

// describe adds what all operations have in common.
func (s *Server) describe(op *huma.Operation) {
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	op.Responses["default"] = &huma.Response{
		Description: "Refused, or failed",
		Content: map[string]*huma.MediaType{
			protocol.ProblemType: {Schema: s.schema(reflect.TypeFor[protocol.Problem]())},
		},
	}
}

func (s *Server) schema(t reflect.Type) *huma.Schema {
	return s.api.OpenAPI().Components.Schemas.Schema(t, true, t.Name())
}

// says is one answer of an operation that is not huma's.
func (s *Server) says(text string, t reflect.Type) *huma.Response {
	return &huma.Response{Description: text, Content: map[string]*huma.MediaType{"application/json": {Schema: s.schema(t)}}}
}

// parameter describes one that an operation reads itself.
func parameter(in, name, kind, text string) *huma.Param {
	return &huma.Param{Name: name, In: in, Description: text, Required: in == "path", Schema: &huma.Schema{Type: kind}}
}
