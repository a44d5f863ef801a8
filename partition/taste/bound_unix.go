//go:build unix

package taste

import "golang.org/x/sys/unix"

// bound gives this process no more memory than that.
func bound(memory uint64) error {
	limit := unix.Rlimit{}
	limit.Cur, limit.Max = fit(limit.Cur, memory), fit(limit.Max, memory)
	return unix.Setrlimit(unix.RLIMIT_DATA, &limit)
}

// fit returns n in the type that the system has for it.
func fit[T int64 | uint64](_ T, n uint64) T { return T(n) }
