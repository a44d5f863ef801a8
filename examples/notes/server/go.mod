module example.org/notes

go 1.24

require github.com/ncruces/go-sqlite3 v0.23.0

require (
	github.com/ncruces/julianday v1.0.0 // indirect
	github.com/tetratelabs/wazero v1.8.2 // indirect
	golang.org/x/sys v0.30.0 // indirect
)
