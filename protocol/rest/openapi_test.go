package rest_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/slapmesh/slapmesh/protocol/protocoltest"
	"github.com/slapmesh/slapmesh/protocol/rest"
)

// TestOpenAPI holds the document to testdata/openapi.json: a change of the wire
// is seen in review. GOLDEN=write accepts it.
func TestOpenAPI(t *testing.T) {
	h := rest.New(rest.Config{}).Handler(door(protocoltest.New().As("ann", true)))
	w := ask(t, h, "GET", "/openapi.json", "")
	var got bytes.Buffer
	if err := json.Indent(&got, w.Body.Bytes(), "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	const golden = "testdata/openapi.json"
	if os.Getenv("GOLDEN") == "write" {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Error("the OpenAPI document changed: look at it with GOLDEN=write and git diff")
	}
}

// TestOpenAPIResolves checks what a golden file cannot: that every schema
// compiles, that every reference leads somewhere, and that answers fit.
func TestOpenAPIResolves(t *testing.T) {
	h := rest.New(rest.Config{}).Handler(door(protocoltest.New().As("ann", true)))
	document, err := jsonschema.UnmarshalJSON(ask(t, h, "GET", "/openapi.json", "").Body)
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	if err := compiler.AddResource("openapi.json", document); err != nil {
		t.Fatal(err)
	}
	paths, _ := document.(map[string]any)["paths"].(map[string]any)
	if len(paths) < 26 {
		t.Fatalf("only %d paths", len(paths))
	}
	ask(t, h, "POST", "/v1/tokens", `{}`)
	ask(t, h, "POST", "/v1/supplies", `{"release":"mariadb"}`)
	ask(t, h, "POST", "/v1/prices", `{"account":"operator","rates":{"request":"0.50","metrics":{"mails":"0.1"}}}`)
	ask(t, h, "POST", "/v1/prices", `{"account":"operator","rates":{"core_hour":"0.02"},"from":"2027-01-01T00:00:00Z"}`)
	ask(t, h, "POST", "/v1/instances", `{"reference":"db1","release":"mariadb"}`)
	ask(t, h, "POST", "/v1/limits", `{"account":"ann","limit":"0"}`)
	ask(t, h, "POST", "/v1/projects", `{"project":"acme"}`)
	ask(t, h, "POST", "/v1/payments", `{"id":"1","from":"@mint","to":"ann","sum":"1"}`)
	for path, item := range paths {
		for method := range item.(map[string]any) {
			at := "openapi.json#/paths/" + strings.ReplaceAll(strings.ReplaceAll(path, "/", "~1"), "{", "%7B")
			at = strings.ReplaceAll(at, "}", "%7D") + "/" + method + "/responses/"
			if _, err := compiler.Compile(at + "default/content/application~1problem+json/schema"); err != nil {
				t.Errorf("%s %s: %v", method, path, err)
			}
			if method != "get" || !answersJSON(item.(map[string]any)[method]) {
				continue
			}
			schema, err := compiler.Compile(at + "200/content/application~1json/schema")
			if err != nil {
				t.Errorf("%s %s: %v", method, path, err)
				continue
			}
			w := ask(t, h, "GET", strings.NewReplacer("{reference}", "db1", "{project}", "acme", "{entry}", "0").Replace(path), "")
			value, err := jsonschema.UnmarshalJSON(w.Body)
			if err != nil || w.Code != http.StatusOK {
				t.Fatalf("%s: %d %v", path, w.Code, err)
			}
			if err := schema.Validate(value); err != nil {
				t.Errorf("GET %s: the answer does not fit its own schema: %v", path, err)
			}
		}
	}
}

// answersJSON reports whether an operation answers with JSON, and not with a
// stream of something else.
func answersJSON(operation any) bool {
	content, _ := operation.(map[string]any)["responses"].(map[string]any)["200"].(map[string]any)["content"].(map[string]any)
	_, ok := content["application/json"]
	return ok
}
