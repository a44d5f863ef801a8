package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/slapmesh/slapmesh/cmd/slapd/command"
	"github.com/slapmesh/slapmesh/partition/catalog"
	"github.com/slapmesh/slapmesh/partition/release"
)

// profiles are those on this computer's disk.
type profiles struct{}

// Bundle implements [command.Profiles].
func (profiles) Bundle(folder string) ([]byte, error) {
	b, _, err := release.LoadPath(folder)
	if err != nil {
		return nil, fmt.Errorf("release %s: %w", folder, err)
	}
	return b.Encode(), nil
}

// New implements [command.Profiles].
func (profiles) New(folder string) ([]string, error) { return release.Starter(folder) }

// Check implements [command.Profiles].
func (profiles) Check(path, instanceType string, parameters map[string]json.RawMessage) (command.ProfileReport, error) {
	b, r, err := release.LoadPath(path)
	if err != nil {
		return command.ProfileReport{}, err
	}
	report := command.ProfileReport{
		Name: r.Name, Version: r.Version, Title: r.Title, Digest: b.Digest(), Bytes: len(b.Encode()),
		Sources: []string{}, Parameters: r.Parameters.JSON(),
	}
	for _, s := range r.Sources {
		report.Sources = append(report.Sources, string(s.Kind)+" "+strings.Join(s.Packages, " "))
	}
	types := r.Types
	if instanceType != "" {
		types = []string{instanceType}
	}
	for _, t := range types {
		desired, err := catalog.Rehearse(r, release.Input{
			Type: t, Parameters: parameters, Reference: "check", Address: netip.MustParseAddr("127.64.0.1"),
			Secret: func(name string) string { return "secret" + strings.ReplaceAll(name, "-", "") },
		})
		if err != nil {
			return command.ProfileReport{}, err
		}
		report.Instances = append(report.Instances, preview(t, desired))
	}
	return report, nil
}

// preview names what an instance would be.
func preview(instanceType string, d release.Desired) command.ProfilePreview {
	return command.ProfilePreview{
		Type:      instanceType,
		Files:     names(d.Files, func(f release.File) string { return f.Path }),
		Requests:  names(d.Requests, func(r release.Request) string { return r.Reference + "=" + r.Release }),
		Steps:     names(d.Once, func(s release.Step) string { return s.Name }),
		Services:  names(d.Services, func(s release.Service) string { return s.Name }),
		Ports:     d.Ports,
		Promises:  names(d.Promises, func(p release.Promise) string { return p.Name }),
		Metrics:   names(d.Metrics, func(m release.Metric) string { return m.Name }),
		Published: slices.AppendSeq([]string{}, slices.Values(slices.Sorted(maps.Keys(d.Published)))),
	}
}

func names[T any](all []T, name func(T) string) []string {
	out := make([]string, len(all))
	for n, v := range all {
		out[n] = name(v)
	}
	return out
}
