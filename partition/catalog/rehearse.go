package catalog

import (
	"fmt"
	"strings"

	"github.com/slapmesh/slapmesh/partition/release"
)

// maxRounds bounds how often a profile is evaluated because of what it
// requested.
const maxRounds = 8

// Rehearse says what an instance of r would be once the instances that it
// requests had published: those of the catalogue are taken to publish what
// their own profiles say, in a partition of their own. What requests others
// goes as far as it can.
func Rehearse(r *release.Release, in release.Input) (release.Desired, error) {
	d, err := r.Evaluate(in)
	for round := 0; err == nil && round < maxRounds && len(d.Requests) > len(in.Children); round++ {
		children := make(map[string]release.Child, len(d.Requests))
		known := 0
		for _, request := range d.Requests {
			name, _, _ := strings.Cut(request.Release, "@")
			item, ok := Lookup(name)
			if !ok {
				continue
			}
			child, err := rehearseChild(item.Release, request, in)
			if err != nil {
				return d, fmt.Errorf("request of %s (%s): %w", request.Reference, request.Release, err)
			}
			children[request.Reference] = child
			known++
		}
		if known == len(in.Children) {
			return d, nil
		}
		in.Children = children
		d, err = r.Evaluate(in)
	}
	return d, err
}

// rehearseChild says what a requested instance would publish.
func rehearseChild(r *release.Release, request release.Request, parent release.Input) (release.Child, error) {
	if request.Shared {
		in := release.Input{
			Reference: "host", Address: parent.Address.Next(), Secret: parent.Secret,
			Shared: []release.Shared{{ID: 1, Reference: request.Reference, Parameters: request.Parameters, Started: true}},
		}
		d, err := Rehearse(r, in)
		served := d.Shared[1]
		if err == nil && served.Published == nil {
			err = fmt.Errorf("%s serves no such shared instance: %s", r.Name, served.Fault)
		}
		return release.Child{Published: served.Published}, err
	}
	in := release.Input{Reference: request.Reference, Type: request.Type, Parameters: request.Parameters, Address: parent.Address.Next(), Secret: parent.Secret}
	d, err := Rehearse(r, in)
	return release.Child{Published: d.Published}, err
}
