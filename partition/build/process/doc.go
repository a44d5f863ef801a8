// Package process runs programs that end with whoever started them.
package process
