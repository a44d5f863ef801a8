package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/protocol"
	"github.com/slapmesh/slapmesh/protocol/protocoltest"
	"github.com/slapmesh/slapmesh/protocol/rest"
)

// door lets everybody in as one caller.
func door(s protocol.Service) rest.Door {
	return rest.Door{AnyHost: true, Authenticate: func(*http.Request) (protocol.Service, error) { return s, nil }}
}

// ask sends one call and returns the answer.
func ask(t *testing.T, h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// refusing is a Service that fails in one way.
type refusing struct {
	protocol.Service
	err error
}

func (r refusing) Request(context.Context, protocol.RequestInput) (protocol.Instance, error) {
	return protocol.Instance{}, r.err
}

func (r refusing) Status(context.Context) (protocol.Status, error) { return protocol.Status{}, r.err }

func (r refusing) Instance(context.Context, protocol.Ref) (protocol.Instance, error) {
	return protocol.Instance{}, r.err
}

func TestRefusals(t *testing.T) {
	for _, tc := range []struct {
		err    error
		status int
		code   protocol.Code
		detail string
	}{
		{protocol.Errorf(protocol.ErrInvalid, "size is no size"), 422, protocol.ErrInvalid, "size is no size"},
		{protocol.Errorf(protocol.ErrNotFound, "no db1"), 404, protocol.ErrNotFound, "no db1"},
		{protocol.Errorf(protocol.ErrConflict, "runs redis"), 409, protocol.ErrConflict, "runs redis"},
		{protocol.Errorf(protocol.ErrExhausted, "full"), 503, protocol.ErrExhausted, "full"},
		{protocol.Errorf(protocol.ErrUnauthorized, "who"), 401, protocol.ErrUnauthorized, "who"},
		{protocol.Errorf(protocol.ErrForbidden, "no"), 403, protocol.ErrForbidden, "no"},
		{protocol.Errorf(protocol.ErrPayment, "0.50 to spend"), 402, protocol.ErrPayment, "0.50 to spend"},
		{fmt.Errorf("request: %w", protocol.Errorf(protocol.ErrUnavailable, "no quorum")), 503, protocol.ErrUnavailable, "request: no quorum"},
		{errors.New("disk on fire"), 500, "", "internal error: see the log of this slapd"},
		{protocol.Errorf(protocol.ErrInternal, "panic in decide"), 500, "", "internal error: see the log of this slapd"},
		{protocol.Code("unheard of"), 500, "", "internal error: see the log of this slapd"},
		{context.Canceled, 503, protocol.ErrUnavailable, "the call was cut short"},
	} {
		for _, call := range [][3]string{
			{"POST", "/v1/instances", `{"reference":"db1","release":"mariadb"}`},
			{"GET", "/v1/status", ""},
			{"GET", "/v1/instances/db1", ""},
			{"GET", "/v1/instances/db1?watch", ""},
			{"POST", "/software_instance_module/", `{"software_release":"mariadb","instance_id":"db1"}`},
		} {
			t.Run(fmt.Sprint(tc.err, call[:2]), func(t *testing.T) {
				var log bytes.Buffer
				s := rest.New(rest.Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
				w := ask(t, s.Handler(door(refusing{err: tc.err})), call[0], call[1], call[2])

				var p protocol.Problem
				if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
					t.Fatalf("%v in %q", err, w.Body)
				}
				if w.Code != tc.status || p.Status != tc.status || p.Code != tc.code || p.Detail != tc.detail {
					t.Errorf("status %d, problem %+v; want %d %q %q", w.Code, p, tc.status, tc.code, tc.detail)
				}
				if got := w.Header().Get("Content-Type"); got != protocol.ProblemType {
					t.Errorf("content type %q", got)
				}
				if logged := strings.Count(log.String(), "request failed"); (logged == 1) != (tc.status == 500) {
					t.Errorf("%d lines in the log: %s", logged, &log)
				}
			})
		}
	}
}

func TestPanicIsOneCall(t *testing.T) {
	var log bytes.Buffer
	s := rest.New(rest.Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	w := ask(t, s.Handler(door(nil)), "GET", "/v1/status", "") // a nil Service
	if w.Code != 500 || strings.Contains(w.Body.String(), "nil pointer") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "panic") {
		t.Errorf("log: %s", &log)
	}
}

func TestBadBodies(t *testing.T) {
	h := rest.New(rest.Config{}).Handler(door(protocoltest.New().As("ann", true)))
	long := strings.Repeat("x", 200)
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		detail                   string
	}{
		{"nothing", "POST", "/v1/instances", " ", 400, "end of JSON"},
		{"garbage", "POST", "/v1/instances", "\x00\xff{", 400, "invalid character"},
		{"truncated", "POST", "/v1/instances", `{"reference":"db`, 400, "unexpected end"},
		{"two values", "POST", "/v1/instances", `{"reference":"a","release":"mariadb"}{}`, 400, "after top-level value"},
		{"array", "POST", "/v1/instances", `[]`, 422, "expected object"},
		{"unknown field", "POST", "/v1/instances", `{"reference":"a","parametres":{}}`, 422, "parametres: unexpected property"},
		{"wrong type", "POST", "/v1/instances", `{"reference":7}`, 422, "reference: expected string"},
		{"no reference", "POST", "/v1/instances", `{"release":"mariadb"}`, 422, "required property reference"},
		{"long reference", "POST", "/v1/instances", `{"reference":"` + long + `"}`, 422, "length <= 128"},
		{"control characters", "POST", "/v1/instances", `{"reference":"a\u001b[2J"}`, 422, "do not print"},
		{"dots", "POST", "/v1/instances", `{"reference":".."}`, 422, "folder's own name"},
		{"state", "POST", "/v1/instances", `{"reference":"a","state":"running"}`, 422, `state: expected value to be one of`},
		{"wait", "POST", "/v1/instances?wait=soon", `{"reference":"a","release":"mariadb"}`, 422, `wait is "soon"`},
		{"filter", "POST", "/v1/instances", `{"reference":"a","filter":{"":"x"}}`, 422, "filter"},
		{"parameters", "POST", "/v1/instances", `{"reference":"a","parameters":{"p":"` + strings.Repeat("x", 70<<10) + `"}}`, 422, "more than 65536"},
		{"too large", "POST", "/v1/instances", `{"reference":"` + strings.Repeat("x", 2<<20) + `"}`, 413, "more than"},
		{"huma: garbage", "POST", "/v1/tokens", `{`, 400, ""},
		{"huma: schema", "POST", "/v1/tokens", `{"role":"king"}`, 422, "role"},
		{"huma: unknown field", "POST", "/v1/supplies", `{"release":"mariadb","x":1}`, 422, "unexpected property"},
		{"a parameter of 10 MB", "POST", "/v1/instances", `{"reference":"a","release":"mariadb","parameters":{"x":"` + strings.Repeat("x", 10<<20) + `"}}`, 413, "more than"},
		{"a parameter of 1 MB", "POST", "/v1/instances", `{"reference":"a","release":"mariadb","parameters":{"x":"` + strings.Repeat("x", 1<<20) + `"}}`, 422, "parameters have 1048579 bytes, more than 65536"},
		{"huma: too large", "POST", "/v1/releases", `{"profile":"` + strings.Repeat("A", 2<<20) + `"}`, 413, "more than"},
		{"many faults", "POST", "/v1/instances", `{"reference":"a"` + manyFields(10000) + `}`, 422, "unexpected property"},
		{"huge name", "POST", "/v1/instances", `{"reference":"a","` + strings.Repeat("é", 1<<18) + `":1}`, 422, "…"},
		{"state missing", "PUT", "/v1/instances/db1/state", `{}`, 422, "required property state"},
		{"flag", "GET", "/v1/instances?all=perhaps", "", 422, "true or false"},
		{"tail", "GET", "/v1/instances/db1/logs?tail=many", "", 422, "number of lines"},
		{"slap: nameless", "POST", "/software_instance_module/", `{"software_release":"mariadb"}`, 422, "required property instance_id"},
		{"slap: nothing to run", "POST", "/software_instance_module/", `{"instance_id":"a"}`, 422, "required property software_release"},
		{"price: sum", "POST", "/v1/prices", `{"rates":{"core_hour":"0,02"}}`, 422, "rates.core_hour: expected string to be a decimal number of credits with at most 12 decimals"},
		{"price: number", "POST", "/v1/prices", `{"rates":{"core_hour":0.02}}`, 422, "rates.core_hour: expected string"},
		{"price: negative", "POST", "/v1/prices", `{"rates":{"request":"-1"}}`, 422, "rates.request: expected string to be a decimal number"},
		{"price: metric", "POST", "/v1/prices", `{"rates":{"metrics":{"mails":"x"}}}`, 422, `price: metric mails: "x": a decimal number`},
		{"price: nothing", "POST", "/v1/prices", `{}`, 422, "required property rates"},
		{"price: time", "POST", "/v1/prices", `{"rates":{},"from":"tomorrow"}`, 422, "from: expected string to be RFC 3339 date-time"},
		{"price: past", "POST", "/v1/prices", `{"rates":{},"from":"2020-01-01T00:00:00Z"}`, 422, "cannot begin in the past"},
		{"price: release", "POST", "/v1/prices", `{"release":"` + long + `","rates":{}}`, 422, "length <= 128"},
		{"statement: account", "GET", "/v1/statement?account=" + long, "", 422, "length <= 64"},
		{"statement: nobody", "GET", "/v1/statement?account=nobody", "", 404, "account nobody is not known"},
		{"pay: no id", "POST", "/v1/payments", `{"to":"ann","sum":"1"}`, 422, "required property id"},
		{"pay: too fine", "POST", "/v1/payments", `{"id":"1","to":"ann","sum":"0.0000001"}`, 422, "sum: expected string to be a decimal number of credits with at most 6 decimals"},
		{"pay: nothing", "POST", "/v1/payments", `{"id":"1","to":"ann","sum":"0.00"}`, 422, "more than nothing expected"},
		{"pay: note", "POST", "/v1/payments", `{"id":"1","to":"ann","sum":"1","note":"a\u001b[2J"}`, 422, "do not print"},
		{"limit: not said", "POST", "/v1/limits", `{"account":"ann"}`, 422, "required property limit"},
		{"limit: sum", "POST", "/v1/limits", `{"account":"ann","limit":"none"}`, 422, "limit: expected string to be a decimal number"},
		{"review: verdict", "POST", "/v1/reviews", `{"reference":"db1","verdict":"fine"}`, 422, "verdict: expected value to be one of"},
		{"review: nothing", "POST", "/v1/reviews", `{"reference":"db9","verdict":"accepted"}`, 404, "no bill of db9"},
		{"terms: fee", "PUT", "/v1/terms", `{"fee_percent":"2,5"}`, 422, "fee_percent: expected string to be a percentage"},
		{"terms: all", "PUT", "/v1/terms", `{"fee_percent":"101"}`, 422, "at most 100 percent"},
		{"terms: grace", "PUT", "/v1/terms", `{"grace":"soon"}`, 422, `terms: grace: "soon": a duration such as 24h`},
		{"terms: none", "PUT", "/v1/terms", `{"reserve":"0s"}`, 422, "more than 0"},
		{"no such call", "GET", "/v2/anything", "", 404, "no call GET /v2/anything"},
		{"no such verb", "PATCH", "/v1/instances", "", 404, "no call PATCH"},
		{"no upgrade", "POST", "/v1/instances/db1/exec", "", 426, "Upgrade"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := ask(t, h, tc.method, tc.path, tc.body)
			var p protocol.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
				t.Fatalf("%v in %q", err, w.Body)
			}
			if w.Code != tc.status || !strings.Contains(p.Detail, tc.detail) || p.Code == "" || strings.Contains(p.Detail, "\n") {
				t.Errorf("%d %+v; want %d …%s…", w.Code, p, tc.status, tc.detail)
			}
			if len(p.Detail) > 2000 {
				t.Errorf("the answer repeats %d bytes", len(p.Detail))
			}
		})
	}
}

func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"x%d":1`, i)
	}
	return b.String()
}

func TestMediaType(t *testing.T) {
	h := rest.New(rest.Config{}).Handler(door(protocoltest.New().As("ann", true)))
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/instances", strings.NewReader("reference=a"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusUnsupportedMediaType {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// Lists and maps are never null, whatever a Service returns.
func TestShapes(t *testing.T) {
	mesh := protocoltest.New()
	h := rest.New(rest.Config{}).Handler(door(mesh.As("ann", true)))
	for path, want := range map[string]string{
		"/v1/instances": "[]\n",
		"/v1/supplies":  "[]\n",
		"/v1/tokens":    "[]\n",
	} {
		if w := ask(t, h, "GET", path, ""); w.Body.String() != want {
			t.Errorf("%s: %s", path, w.Body)
		}
	}
	if w := ask(t, h, "POST", "/v1/instances", `{"reference":"a/b","release":"mariadb"}`); w.Code != http.StatusAccepted ||
		!strings.Contains(w.Body.String(), `"connection":{}`) || !strings.Contains(w.Body.String(), `"parameters":{}`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(t, h, "GET", "/v1/instances/a%2Fb", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"reference":"a/b"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(t, h, "GET", "/v1/status", ""); !strings.Contains(w.Body.String(), `"standbys":[]`) {
		t.Errorf("%s", w.Body)
	}
}

func TestWait(t *testing.T) {
	h := rest.New(rest.Config{}).Handler(door(protocoltest.New().As("ann", true)))
	for _, tc := range []struct {
		name, body, wait string
		status           int
		state            string
	}{
		{"accepted", `{"reference":"a","release":"mariadb"}`, "", 202, "waiting"},
		{"started", `{"reference":"a"}`, "?wait=1m", 200, "started"},
		{"again", `{"reference":"a"}`, "", 200, "started"},
		{"slow", `{"reference":"b","release":"slow"}`, "?wait=20ms", 202, "building"},
		{"broken", `{"reference":"c","release":"broken"}`, "?wait=1m", 202, "error"},
	} {
		w := ask(t, h, "POST", "/v1/instances"+tc.wait, tc.body)
		if w.Code != tc.status || !strings.Contains(w.Body.String(), `"state":"`+tc.state+`"`) {
			t.Errorf("%s: %d %s", tc.name, w.Code, w.Body)
		}
	}
}

func TestSlapRequest(t *testing.T) {
	mesh := protocoltest.New()
	h := rest.New(rest.Config{}).Handler(door(mesh.As("ann", false)))
	body := `{"software_release":"mariadb","instance_id":"my db","instance_type":"default","parameters":{"database":"shop"},"sla":{"country":"FR"}}`
	w := ask(t, h, "POST", "/software_instance_module/", body)
	if w.Code != http.StatusAccepted || w.Header().Get("Location") != "/v1/instances/my%20db" {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := ask(t, h, "POST", "/v1/instances?wait=1m", `{"reference":"my db"}`); w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	w = ask(t, h, "POST", "/software_instance_module/", body)
	if w.Code != http.StatusCreated || !strings.Contains(w.Body.String(), `"url":"mysql://app:secret@127.64.0.1:3306/app"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
