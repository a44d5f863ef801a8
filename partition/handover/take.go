package handover

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"time"
)

// A Taken is what was handed over. It must be closed.
type Taken struct {
	Secrets map[string]string

	conn   net.Conn
	stop   func() bool
	reader *reader
}

// Take asks, at the other end of a stream, for the data of an instance, for
// another one that takes its place, and returns once it begins to come.
// Whatever is waited for meanwhile is told to waits.
func Take(ctx context.Context, c net.Conn, clock func() time.Time, instance, successor uint64, waits func(string)) (*Taken, error) {
	t := &Taken{conn: c, stop: context.AfterFunc(ctx, func() { _ = c.Close() }), reader: &reader{conn: c, clock: clock, hash: sha256.New()}}
	a, err := begin(c, clock, ask{instance, successor}, waits)
	if err == nil && a.System != system() {
		err = fmt.Errorf("its data is that of %.40s, and this computer is %s: move it to one of that kind", a.System, system())
	}
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	t.Secrets = make(map[string]string, len(a.Secrets))
	for _, s := range a.Secrets {
		t.Secrets[s.Name] = s.Value
	}
	return t, nil
}

// begin asks, and waits until the data begins.
func begin(c net.Conn, clock func() time.Time, a ask, waits func(string)) (answer, error) {
	if err := send(c, clock, a); err != nil {
		return answer{}, err
	}
	for {
		var got answer
		if err := receive(c, clock, maxAnswer, &got); err != nil {
			return got, err
		}
		switch {
		case got.Refusal != "":
			return got, fmt.Errorf("refused there: %.*s", maxReason, got.Refusal)
		case len(got.Secrets) > maxSecrets+1:
			return got, fmt.Errorf("%d secrets, more than %d", len(got.Secrets), maxSecrets)
		case got.Wait == "":
			return got, nil
		}
		waits(got.Wait)
	}
}

// Read returns the archive. It ends with io.EOF only if it is whole.
func (t *Taken) Read(b []byte) (int, error) { return t.reader.Read(b) }

// Close ends the stream.
func (t *Taken) Close() error {
	t.stop()
	return t.conn.Close()
}
