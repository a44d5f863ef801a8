// Package catalog has the profiles that ship with slapd. Each is a folder
// beside this file, embedded; PROFILES.md of package release tells how to read
// and write them.
package catalog

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/slapmesh/slapmesh/partition/release"
)

//go:embed apache haproxy mariadb memcached nginx postgresql redis wordpress
var folders embed.FS

// An Item is one profile of the catalogue.
type Item struct {
	Bundle  *release.Bundle
	Release *release.Release
}

// load reads the catalogue once. It is part of the program, so a fault in it
// is one of the program.
var load = sync.OnceValue(func() []Item {
	entries, err := folders.ReadDir(".")
	if err != nil {
		panic("catalog: " + err.Error())
	}
	items := make([]Item, 0, len(entries))
	for _, entry := range entries {
		item, err := read(entry.Name())
		if err != nil {
			panic(fmt.Sprintf("catalog: %s: %v", entry.Name(), err))
		}
		items = append(items, item)
	}
	return items
})

func read(name string) (Item, error) {
	folder, err := fs.Sub(folders, name)
	if err != nil {
		return Item{}, err
	}
	bundle, err := release.LoadDir(folder)
	if err != nil {
		return Item{}, err
	}
	loaded, err := release.Load(bundle)
	if err != nil {
		return Item{}, err
	}
	if loaded.Name != name {
		return Item{}, fmt.Errorf("calls itself %s", loaded.Name)
	}
	return Item{bundle, loaded}, nil
}

// Items returns all profiles, by name. The caller must not change the slice.
func Items() []Item { return load() }

// Has tells whether the bundle of a digest is one of the catalogue.
func Has(digest string) bool {
	return slices.ContainsFunc(load(), func(item Item) bool { return item.Bundle.Digest() == digest })
}

// Lookup returns the profile of a name.
func Lookup(name string) (Item, bool) {
	for _, item := range load() {
		if item.Release.Name == name {
			return item, true
		}
	}
	return Item{}, false
}
