package release_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/partition/release"
)

// TestSources reads what profiles declare, and what they declare wrongly.
func TestSources(t *testing.T) {
	hex, h1 := strings.Repeat("0a", 32), "h1:"+strings.Repeat("A", 43)+"="
	for source, fault := range map[string]string{
		`archive("https://example.org/x.tgz", sha256 = "` + hex + `", into = "/opt/x/", strip = 1)`: "",
		`archive("ftp://example.org/x.tgz", sha256 = "` + hex + `")`:                                "archive: url",
		`archive("https://user:secret@example.org/x.tgz", sha256 = "` + hex + `")`:                  "without a user",
		`archive("file://host/x", sha256 = "` + hex + `")`:                                          "archive: url",
		`archive("https://example.org/x.tgz", sha256 = "` + strings.ToUpper(hex) + `")`:             "as sha256sum prints them",
		`archive("https://example.org/x.tgz", sha256 = "` + hex + `", into = "../x")`:               "archive: into",
		`archive("https://example.org/x.tgz", sha256 = "` + hex + `", into = "a\nb")`:               "archive: into",
		`archive("https://example.org/x.tgz", sha256 = "` + hex + `", strip = 99)`:                  "archive: strip",
		`archive("https://example.org/x.tgz")`:                                                      "sha256",
		`oci("127.0.0.1:5000/team/app@sha256:` + hex + `")`:                                         "",
		`oci("alpine:3")`: "a tag may become another image",
		`golang("example.org/x@v1.2.3", sum = "` + h1 + `", packages = ["./cmd/server"])`: "",
		`golang("./server")`:                                                              "",
		`golang("./nothing")`:                                                             "golang: no file go.mod",
		`golang("example.org/x@v1.2.3")`:                                                  "golang: sum",
		`golang("example.org/x", sum = "` + h1 + `")`:                                     "golang: module",
		`golang("-x.org/x@v1.0.0", sum = "` + h1 + `")`:                                   "golang: module",
		`golang("example.org/x@v1.2.3", sum = "` + hex + `")`:                             "go mod download -json",
		`golang("example.org/x@v1.2.3", sum = "` + h1 + `", packages = ["-toolexec=sh"])`: "golang: package",
		`golang("example.org/x@v1.2.3", sum = "` + h1 + `", packages = ["./../x"])`:       "golang: package",
		`git("https://example.org/x.git", commit = "` + hex[:40] + `", into = "srv")`:     "",
		`git("https://example.org/x.git", commit = "main", into = "srv")`:                 "a branch or a tag",
		`git("--upload-pack=sh", commit = "` + hex[:40] + `", into = "srv")`:              "git: url",
		`npm("package-lock.json", into = "srv/app")`:                                      "",
		`npm("lock.json", into = "srv/app")`:                                              "npm: no file",
		`folder("site", into = "srv/site")`:                                               "",
		`folder("../site", into = "srv/site")`:                                            "folder: no files",
	} {
		files := map[string][]byte{
			"release.star":      []byte(fmt.Sprintf("release(name = \"x\", version = \"1\", sources = [%s])\n\ndef instance(i):\n    pass\n", source)),
			"package-lock.json": []byte("{}"), "site/index.html": []byte("hi"), "server/go.mod": []byte("module x\n"),
		}
		b, err := release.NewBundle(files)
		if err != nil {
			t.Fatal(err)
		}
		r, err := release.Load(b)
		switch {
		case fault == "" && (err != nil || len(r.Sources) != 1):
			t.Errorf("%s: %v", source, err)
		case fault != "" && (err == nil || !strings.Contains(err.Error(), fault)):
			t.Errorf("%s: error %v, want %q", source, err, fault)
		}
	}
}

// A way out is asked for in so many words.
func TestEgress(t *testing.T) {
	for declared, want := range map[string]string{"": "false", ", egress = True": "true", ", egress = False": "false", `, egress = "tcp/443"`: "fault"} {
		b, err := release.NewBundle(map[string][]byte{
			"release.star": []byte(`release(name = "x", version = "1", sources = [debian("busybox")]` + declared + ")\n\ndef instance(i):\n    pass\n"),
		})
		if err != nil {
			t.Fatal(err)
		}
		got := "fault"
		if r, err := release.Load(b); err == nil {
			got = fmt.Sprint(r.Egress)
		}
		if got != want {
			t.Errorf("release(…%s): %s, want %s", declared, got, want)
		}
	}
}
