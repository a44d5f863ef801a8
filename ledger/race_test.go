//go:build race

package ledger

// steps is how many random commands there are for each seed.
const steps = 1050

// thorough says that there are enough of them for what is rare to happen.
const thorough = false
