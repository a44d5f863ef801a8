package command

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// told prints what was found out about joining: to people as it comes, on
// standard error, as JSON if that is all that was asked for.
func (i *invocation) told(r protocol.JoinReport) {
	switch {
	case i.Bool("json") && i.Bool("check"):
		_ = printJSON(i.Out, r) // the exit code tells too
	case i.Bool("json"):
	case r.Admitted:
		fmt.Fprintf(i.Err, "admitted to mesh %s as %s of account %s\n", printable(r.Mesh), r.Role, printable(r.Account))
	default:
		w := tabwriter.NewWriter(i.Err, 0, 0, 2, ' ', 0)
		i.printReport(w, r)
		_ = w.Flush() // nobody may be looking
	}
}

func (i *invocation) printReport(w io.Writer, r protocol.JoinReport) {
	for _, t := range r.Tries {
		took := time.Duration(t.Seconds * float64(time.Second)).Round(100 * time.Microsecond).String()
		if t.Answers {
			row(w, "answers", t.Address+" "+t.Network+", after "+took)
			continue
		}
		text := t.Address + " " + t.Network
		if len(r.Tries) > 1 { // of one the error says it
			text += ": " + t.Problem
		}
		row(w, "no", text)
	}
	if r.Address == "" {
		return
	}
	row(w, "path", fmt.Sprintf("%s, through %s", r.Path, r.Address))
	row(w, "clock", clockText(r.ClockAhead))
	switch r.NAT {
	case "yes":
		row(w, "seen as", r.Observed+", not as "+r.Local)
	case "none":
		row(w, "seen as", r.Observed+", as it is")
	default:
		row(w, "seen as", r.Observed)
	}
	if text := natText(r.Kind); text != "" {
		row(w, "kind", text)
	}
	switch r.Reachable {
	case "yes":
		row(w, "from outside", "reachable: a packet from another port came through")
	case "no":
		row(w, "from outside", "not reachable: a packet from another port did not come through (NAT or firewall); others reach this computer with its help")
	}
	if r.Problem != "" {
		return
	}
	grants := fmt.Sprintf("%s of account %s, in mesh %s", r.Role, r.Account, r.Mesh)
	if r.Role == "" {
		grants = "what an operator of mesh " + r.Mesh + " says, who is asked"
	}
	if r.Expires != nil {
		grants += fmt.Sprintf(" (token: uses left %d, expires in %s)", r.Uses, i.age(*r.Expires))
	}
	row(w, "grants", grants)
}

// clockText says how the clocks differ.
func clockText(ahead float64) string {
	if math.Abs(ahead) < 0.05 {
		return "as the mesh's"
	}
	d := time.Duration(math.Abs(ahead) * float64(time.Second)).Round(100 * time.Millisecond)
	if ahead > 0 {
		return fmt.Sprintf("%s ahead of the mesh's", d)
	}
	return fmt.Sprintf("%s behind the mesh's", d)
}
