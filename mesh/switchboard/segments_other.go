//go:build !linux

package switchboard

// Only Linux cuts one write into several packets.
const canSegment = false

func segmentControl(b []byte, _ int) []byte { return b }

func segmentSize([]byte) int { return 0 }
