package meter

import (
	"crypto/rand"
	"time"

	"golang.org/x/sys/windows"
)

// bootID names this run of the program: no counter outlives it here.
func bootID() (string, error) { return rand.Text(), nil }

// sinceBoot returns how long the computer is up.
func sinceBoot() time.Duration { return windows.DurationSinceBoot() }
