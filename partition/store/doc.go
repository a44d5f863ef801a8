// Package store keeps what releases are made of: unpacked packages and the
// trees that are composed from them, each under its digest.
//
// A [Store] is a folder. What has a name in it is whole: packages and trees
// are made in a staging folder, synced to disk, and then renamed, so that
// neither a kill nor a full disk nor a power cut at any point leaves half of
// one under its name. What is left in staging by a process that has died is
// removed by the next [Open]. Several processes may use one Store at once;
// they have to belong to one user.
//
// # Trust
//
// What is unpacked comes from outside: [Store.Unpack] refuses paths that
// leave the package or lead through a link, devices, and more than it was
// told to expect, and it strips setuid bits, owners and write permissions.
//
// Trees share their files with the packages by hard links. So nothing may
// ever be edited in place: a changed file is a new one.
package store
