// Package build makes trees of the sources of releases.
//
// A [Builder] lets the computer's own apt resolve and verify the Debian
// packages that a release names, on a private root that has nothing to do with
// what is installed; it unpacks each package once, by its digest, and composes
// the tree from them by hard links. Neither root rights nor dpkg's database
// are needed. What was built once is recorded: the same sources give the same
// tree, and no network is asked, until the record is removed.
//
// Several processes may share a folder for downloads and unpacked packages.
// DESIGN.md beside this file has the reasons.
package build
