package rest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/slapmesh/slapmesh/protocol"
	"github.com/slapmesh/slapmesh/protocol/protocoltest"
	"github.com/slapmesh/slapmesh/protocol/rest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Any program that speaks HTTP can ask for an instance.
func Example() {
	mesh := protocoltest.New()
	h := rest.New(rest.Config{}).Handler(rest.Door{
		Authenticate: func(r *http.Request) (protocol.Service, error) {
			token, err := rest.BearerToken(r)
			if err == nil && token != "slapd1-ann" {
				err = protocol.Errorf(protocol.ErrUnauthorized, "token is unknown")
			}
			return mesh.As("ann", false), err
		},
	})
	r := httptest.NewRequestWithContext(context.Background(), "POST", "http://localhost:7528/v1/instances?wait=1m",
		strings.NewReader(`{"release": "mariadb", "reference": "db1"}`))
	r.Header.Set("Authorization", "Bearer slapd1-ann")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var db protocol.Instance
	err := json.Unmarshal(w.Body.Bytes(), &db)
	fmt.Println(w.Code, db.State, db.Connection["url"], err)
	// Output: 200 started mysql://app:secret@127.64.0.1:3306/app <nil>
}
