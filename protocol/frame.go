package protocol

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

// ExecProtocol is the name under which the byte stream of an exec is asked for
// in an HTTP Upgrade header.
const ExecProtocol = "slapd-exec/1"

// A FrameKind says what a frame carries. The numbers are part of the wire.
type FrameKind byte

// The kinds of frames. In an exec the client sends start once, then stdin,
// stdin-end and resize; the peer sends stdout, stderr and ping, then exit or error once.
// On a connection both sides send data, then end or reset.
const (
	FrameStart    FrameKind = 1 // JSON of ExecInput
	FrameStdin    FrameKind = 2
	FrameStdinEnd FrameKind = 3
	FrameStdout   FrameKind = 4
	FrameStderr   FrameKind = 5
	FrameExit     FrameKind = 6 // decimal exit code
	FrameError    FrameKind = 7 // JSON of Problem
	FramePing     FrameKind = 8 // empty; shows who is gone
	FrameData     FrameKind = 9
	FrameEnd      FrameKind = 10 // empty; no more data comes
	FrameReset    FrameKind = 11 // empty; the connection broke
	FrameResize   FrameKind = 12 // JSON of TerminalSize
)

// MaxFrame bounds the bytes that one frame carries.
const MaxFrame = 64 << 10

// frameHeader is the kind, then the length, big-endian.
const frameHeader = 5

// A Frame is one message of an exec or a piece of a connection. On the wire it is its kind in one byte,
// the length of its data in four, and the data.
type Frame struct {
	Kind FrameKind
	Data []byte
}

// ReadFrame reads one frame. It returns io.EOF only between frames; a frame of
// unknown kind, or that is longer than MaxFrame, is an error.
func ReadFrame(r io.Reader) (Frame, error) {
	var head [frameHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Frame{}, err
	}
	kind, size := FrameKind(head[0]), binary.BigEndian.Uint32(head[1:])
	if kind < FrameStart || kind > FrameResize {
		return Frame{}, fmt.Errorf("read frame: unknown kind %d", kind)
	}
	if size > MaxFrame {
		return Frame{}, fmt.Errorf("read frame: %d bytes are more than %d", size, MaxFrame)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(r, data); err != nil {
		return Frame{}, fmt.Errorf("read frame: cut short: %w", err)
	}
	return Frame{Kind: kind, Data: data}, nil
}

// A FrameWriter writes frames to one stream from several goroutines.
type FrameWriter struct {
	w io.Writer // set once

	mu  sync.Mutex // held for one whole frame
	buf []byte
}

// NewFrameWriter returns a FrameWriter on w.
func NewFrameWriter(w io.Writer) *FrameWriter { return &FrameWriter{w: w} }

// Write sends data as frames of that kind: one, or as many as MaxFrame demands.
func (f *FrameWriter) Write(kind FrameKind, data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		chunk := data[:min(len(data), MaxFrame)]
		f.buf = append(f.buf[:0], byte(kind))
		f.buf = binary.BigEndian.AppendUint32(f.buf, uint32(len(chunk)))
		f.buf = append(f.buf, chunk...)
		if _, err := f.w.Write(f.buf); err != nil {
			return fmt.Errorf("write frame: %w", err)
		}
		if data = data[len(chunk):]; len(data) == 0 {
			return nil
		}
	}
}

// Stream returns a writer whose bytes travel as frames of that kind.
func (f *FrameWriter) Stream(kind FrameKind) io.Writer { return frameStream{f, kind} }

type frameStream struct {
	f    *FrameWriter
	kind FrameKind
}

func (s frameStream) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := s.f.Write(s.kind, p); err != nil {
		return 0, err
	}
	return len(p), nil
}
