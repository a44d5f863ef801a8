//go:build race

package ledger

// steps is how many random commands there are for each seed.
const steps = 1050
