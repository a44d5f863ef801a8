package command

import (
	"bytes"
	"context"
)

// Complaint is what a command line prints about an error of its verb.
func Complaint(args []string, err error) string {
	line, failed := arrange(args)
	if failed != nil {
		return failed.Error()
	}
	var out bytes.Buffer
	conclude(context.Background(), &Config{Err: &out}, line, err)
	return out.String()
}

// FirstMembers are those that people are shown unasked.
var FirstMembers = firstMembers
