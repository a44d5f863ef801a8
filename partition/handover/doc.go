// Package handover carries the data of an instance that moves, from the
// computer where it was to the one where it goes on.
//
// One stream carries one instance. Who takes names it; who has it says at
// first what is being waited for, as often as that is worth saying, then gives
// the instance's secrets and a tar archive, in pieces, with a hash at the end.
// What breaks off counts as nothing: it is taken again as a whole.
package handover
