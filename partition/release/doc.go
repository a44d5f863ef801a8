// Package release reads the profiles of software releases.
//
// A profile is a folder with a file release.star and the templates that it
// uses; packed it is a [Bundle], named by its digest. [Load] reads a bundle
// into a [Release]: what goes into the release's tree, which parameters a
// request may carry, and a function that says what an instance should be.
// [Release.Evaluate] calls that function and returns a [Desired].
//
// # Determinism
//
// A profile can read nothing but its own bundle and its [Input]: no clock, no
// file, no network, no randomness. Equal bundles and equal inputs give equal
// values of Desired, on every computer, so whoever runs an instance evaluates
// again whenever an input changes and does only the difference.
//
// # Bounds
//
// A profile may come from a stranger. Loading and evaluating stop after a
// number of steps and a time; bundles and results have a largest size.
//
// PROFILES.md beside this file tells how to write a profile. Elsewhere:
// package catalog has the profiles that ship, package build makes trees of
// the sources, the supervisor does what Desired says.
package release
