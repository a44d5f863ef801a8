//go:build !linux

package confine

// Thread confines nothing: seccomp and Landlock are Linux's. It says so.
func Thread(Files) (lacks []string, err error) { return []string{"landlock", "seccomp"}, nil }
