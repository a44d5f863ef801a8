package supervisor

import (
	"context"
	"errors"
	"io"
)

// packPiece is how much of an archive one message carries.
const packPiece = 64 << 10

// Pack writes all that the partition's data folder holds, as a tar archive. Of
// a supervisor that was given a Spec it is refused.
func (c *Client) Pack(ctx context.Context, w io.Writer) error {
	conn, err := c.call(ctx, request{Call: callPack})
	if err != nil {
		return err
	}
	defer conn.close()
	for {
		r, err := conn.read(ctx)
		if err != nil {
			return err
		}
		if r.Done {
			return nil
		}
		if _, err := w.Write(r.Data); err != nil {
			return err
		}
	}
}

// Unpack makes the partition's data folder hold what Pack wrote, and nothing
// else. When it returns, that is on the disk. Of a supervisor that was given a
// Spec it is refused. Stop the supervisor before the data is used: it
// remembers what was there when it began.
func (c *Client) Unpack(ctx context.Context, from io.Reader) error {
	conn, err := c.call(ctx, request{Call: callUnpack})
	if err != nil {
		return err
	}
	defer conn.close()
	answered := make(chan error, 1)
	go func() {
		_, err := conn.read(ctx)
		answered <- err
	}()
	buf := make([]byte, packPiece)
	for {
		n, err := io.ReadFull(from, buf)
		if n > 0 && writeFrame(conn, reply{Stream: streamIn, Data: buf[:n]}) != nil {
			return <-answered
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) && n > 0:
			if writeFrame(conn, reply{Done: true}) != nil {
				return <-answered
			}
			return <-answered
		case err != nil:
			return err
		}
		select {
		case err := <-answered:
			return err
		default:
		}
	}
}
