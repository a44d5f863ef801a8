// Package buildtest lets tests build real releases without downloading them
// again and again: all tests of a user on a computer share one folder.
package buildtest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/partition/build"
	"github.com/slapmesh/slapmesh/partition/store"
)

// Dir returns the folder that tests share: $SLAPD_TEST_CACHE, or one in the
// user's cache. Test caches are apart from those of daemons.
func Dir(tb testing.TB) string {
	tb.Helper()
	dir := os.Getenv("SLAPD_TEST_CACHE")
	if dir == "" {
		shared, err := build.UserDir()
		if err != nil {
			tb.Fatal(err)
		}
		dir = filepath.Join(shared, "test")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// Open returns a builder whose downloads, packages and trees are kept between
// tests. It skips tests that are to be short.
func Open(tb testing.TB) *build.Builder {
	tb.Helper()
	if testing.Short() {
		tb.Skip("builds from downloaded packages")
	}
	dir := Dir(tb)
	trees, err := store.Open(filepath.Join(dir, "store"))
	if err != nil {
		tb.Fatal(err)
	}
	clock := time.Now //nolint:forbidigo // what is downloaded is real, so is its age
	b, err := build.Open(build.Config{Store: trees, Dir: filepath.Join(dir, "build"), Clock: clock, Private: true})
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
