package command

import (
	"fmt"
	"io"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// quiet is how long plain progress says nothing new about the same state.
const quiet = 5 * time.Second

// A progress shows what becomes of an instance: on a terminal on one line that
// is drawn over, elsewhere as a line for each state, and now and then for what
// goes on in it.
type progress struct {
	out      io.Writer
	terminal bool
	now      func() time.Time

	drawn bool
	state protocol.State
	text  string
	told  time.Time
}

// see shows one value.
func (p *progress) see(i protocol.Instance) {
	text := printable(i.Reference + ": " + describe(i))
	if text == p.text {
		return
	}
	if p.terminal {
		fmt.Fprintf(p.out, "\r\x1b[K%s", cut(text))
		p.drawn, p.text = true, text
		return
	}
	if now := p.now(); i.State != p.state || now.Sub(p.told) >= quiet {
		fmt.Fprintln(p.out, text)
		p.state, p.text, p.told = i.State, text, now
	}
}

// end leaves the terminal as it was.
func (p *progress) end() {
	if p.drawn {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// cut keeps a line that is drawn over within the terminal.
func cut(text string) string {
	const width = 79
	if r := []rune(text); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return text
}

// A drawnLine tells how far something is, on a terminal only: elsewhere nobody
// waits for it.
type drawnLine struct {
	out      io.Writer
	terminal bool
	drawn    bool
}

func (l *drawnLine) draw(text string) {
	if l.terminal {
		fmt.Fprintf(l.out, "\r\x1b[K%s", cut(text))
		l.drawn = true
	}
}

// end leaves the terminal as it was.
func (l *drawnLine) end() {
	if l.drawn {
		fmt.Fprint(l.out, "\r\x1b[K")
		l.drawn = false
	}
}
