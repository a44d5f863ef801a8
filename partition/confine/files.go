package confine

// Files are what may be used of the file system. Paths that do not exist are
// left out; what is below a path belongs to it.
type Files struct {
	List  []string // folders of which only the names may be read
	Read  []string // and execute
	Write []string // and read, and execute
}
