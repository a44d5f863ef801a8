package rest_test

import (
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/protocol/protocoltest"
	"github.com/slapmesh/slapmesh/protocol/rest"
)

// A session about money, as an operator that is no owner sees it.
func TestMoney(t *testing.T) {
	mesh := protocoltest.New()
	bob := rest.New(rest.Config{}).Handler(door(mesh.As("bob", false)))
	ann := rest.New(rest.Config{}).Handler(door(mesh.As("ann", true)))
	for _, tc := range []struct {
		name               string
		operator           bool
		method, path, body string
		status             int
		want               []string
	}{
		{"no prices", false, "GET", "/v1/prices", "", 200, []string{"[]\n"}},
		{"nothing yet", false, "GET", "/v1/statement", "", 200, []string{`"account":"bob"`, `"balance":"0.00"`, `"short_since":null`, `"pays":[]`, `"earns":[]`}},
		{"a price of others", false, "POST", "/v1/prices", `{"account":"operator","rates":{"request":"1"}}`, 403, []string{"only an operator"}},
		{"a price", true, "POST", "/v1/prices", `{"account":"operator","rates":{"request":"0.50"}}`, 200, []string{`"request":"0.50"`, `"core_hour":""`, `"next":[]`}},
		{"a later price", true, "POST", "/v1/prices", `{"account":"operator","rates":{"request":"2"},"from":"2027-01-01T00:00:00Z"}`, 200, []string{`"request":"0.50"`, `"next":[{"from":"2027-01-01T00:00:00Z"`}},
		{"a price of a release", true, "POST", "/v1/prices", `{"account":"operator","release":"mariadb","rates":{"request":"0.25"}}`, 200, []string{`"release":"mariadb"`}},
		{"prices", false, "GET", "/v1/prices", "", 200, []string{`[{"account":"operator","release":""`, `{"account":"operator","release":"mariadb"`}},

		{"terms", false, "GET", "/v1/terms", "", 200, []string{`{"fee_percent":"0.00","grace":"24h","reserve":"1h"}`}},
		{"terms by others", false, "PUT", "/v1/terms", `{"fee_percent":"10"}`, 403, []string{"only an operator"}},
		{"new terms", true, "PUT", "/v1/terms", `{"fee_percent":"10"}`, 200, []string{`{"fee_percent":"10","grace":"24h","reserve":"1h"}`}},

		{"a limit by others", false, "POST", "/v1/limits", `{"account":"bob","limit":"5"}`, 403, []string{"only an operator"}},
		{"a limit", true, "POST", "/v1/limits", `{"account":"bob","limit":"0.70"}`, 200, []string{`"limited":true`, `"limit":"0.70"`, `"free":"0.70"`}},
		{"too dear", false, "POST", "/v1/instances", `{"reference":"db1","release":"mariadb"}`, 402, []string{`"code":"payment"`, "has 0.70 to spend and this takes 0.75"}},
		{"credits", true, "POST", "/v1/payments", `{"id":"p1","from":"@mint","to":"bob","sum":"1"}`, 200, []string{`"account":"@mint"`, `"balance":"-1.00"`}},
		{"affordable", false, "POST", "/v1/instances", `{"reference":"db1","release":"mariadb"}`, 202, nil},
		{"a bill", false, "GET", "/v1/statement", "", 200, []string{`"balance":"0.25"`, `"total":"0.75"`, `"to_owner":"0.45"`, `"to_publisher":"0.25"`, `"to_mesh":"0.05"`, `"until":null`}},
		{"a review", false, "POST", "/v1/reviews", `{"reference":"db1","verdict":"disputed","note":"slow"}`, 200, []string{`"verdict":"disputed"`, `"note":"slow"`}},
		{"what was earned", true, "GET", "/v1/statement?account=operator", "", 200, []string{`"balance":"0.70"`, `"pays":[]`, `"verdict":"disputed"`}},
		{"of others", false, "GET", "/v1/statement?account=operator", "", 403, []string{"only an operator"}},

		{"a payment", false, "POST", "/v1/payments", `{"id":"p2","to":"ann","sum":"0.15"}`, 200, []string{`"balance":"0.10"`}},
		{"again", false, "POST", "/v1/payments", `{"id":"p2","to":"ann","sum":"0.15"}`, 200, []string{`"balance":"0.10"`}},
		{"another by that id", false, "POST", "/v1/payments", `{"id":"p2","to":"ann","sum":"0.16"}`, 409, []string{"was used for 0.15"}},
		{"more than there is", false, "POST", "/v1/payments", `{"id":"p3","to":"ann","sum":"0.81"}`, 402, []string{"has 0.80 to spend"}},
		{"to nobody", false, "POST", "/v1/payments", `{"id":"p4","to":"nobody","sum":"0.01"}`, 404, []string{"nobody is not known"}},
		{"no limit", true, "POST", "/v1/limits", `{"account":"bob","limit":null}`, 200, []string{`"limited":false`}},
	} {
		h := bob
		if tc.operator {
			h = ann
		}
		w := ask(t, h, tc.method, tc.path, tc.body)
		if w.Code != tc.status {
			t.Errorf("%s: %d %s; want %d", tc.name, w.Code, w.Body, tc.status)
		}
		for _, want := range tc.want {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: %s; want …%s…", tc.name, w.Body, want)
			}
		}
	}
}
