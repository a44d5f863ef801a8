package build

import (
	"fmt"
	"time"
)

// A StepName says what a build is doing.
type StepName string

// The steps of a build, in their order.
const (
	StepFetch    StepName = "fetch"    // takes the tree from who has built it
	StepIndex    StepName = "index"    // reads the lists of packages
	StepResolve  StepName = "resolve"  // finds out which packages are needed
	StepDownload StepName = "download" // fetches them
	StepSource   StepName = "source"   // fetches, and builds, sources that are no packages of Debian
	StepUnpack   StepName = "unpack"   // unpacks them
	StepCompose  StepName = "compose"  // makes the tree
	StepDone     StepName = "done"
)

// A Progress is how far a build is.
type Progress struct {
	Step        StepName
	Done, Total int   // packages, or files; Total is 0 when it is not known
	Bytes, Size int64 // downloaded, of all
	Rate        int64 // bytes a second
	Message     string
}

// String says it in one line.
func (p Progress) String() string {
	var text string
	switch p.Step {
	case StepFetch:
		text = "asking who has built it"
		if p.Size > 0 {
			text = fmt.Sprintf("taking the built release from peers: %s of %s", megabytes(p.Bytes), megabytes(p.Size))
		}
		text += p.rate()
	case StepIndex:
		text = "reading the lists of packages"
	case StepResolve:
		text = "finding the packages that are needed"
	case StepSource:
		text = "fetching sources"
		if p.Bytes > 0 {
			text += ": " + megabytes(p.Bytes)
		}
		if p.Size > 0 {
			text += " of " + megabytes(p.Size)
		}
		text += p.rate()
	case StepDownload:
		text = fmt.Sprintf("downloading %d packages: %s of %s", p.Total, megabytes(p.Bytes), megabytes(p.Size)) + p.rate()
	case StepUnpack:
		text = fmt.Sprintf("unpacking %d of %d packages", p.Done, p.Total)
	case StepCompose:
		text = fmt.Sprintf("composing the tree of %d packages", p.Total)
	case StepDone:
		text = "built"
	}
	if p.Message != "" {
		text += " (" + p.Message + ")"
	}
	return text
}

func (p Progress) rate() string {
	if p.Rate == 0 {
		return ""
	}
	return fmt.Sprintf(", %s/s", megabytes(p.Rate))
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// progress tells one build's progress.
type progress struct {
	report func(Progress)
	clock  func() time.Time
	now    Progress
	begun  time.Time // of the step, or of a part
	base   int64     // bytes of the part that were there then
}

func (p *progress) send() {
	if p.report != nil {
		p.report(p.now)
	}
}

// pass tells progress that was counted elsewhere.
func (p *progress) pass(now Progress) {
	p.now = now
	p.send()
}

func (p *progress) step(name StepName, total int, size int64) {
	p.now = Progress{Step: name, Total: total, Size: size}
	p.begun = p.clock()
	p.send()
}

func (p *progress) say(message string) {
	p.now.Message = message
	p.send()
}

func (p *progress) advance(packages int) {
	p.now.Done += packages
	p.send()
}

// part tells how far one of several sources is.
func (p *progress) part(message string, bytes, size int64) {
	if message != p.now.Message {
		p.now.Rate, p.begun, p.base = 0, p.clock(), bytes
	}
	p.now.Message, p.now.Bytes, p.now.Size = message, bytes, size
	if took := p.clock().Sub(p.begun); took > 0 {
		p.now.Rate = int64(float64(bytes-p.base) / took.Seconds())
	}
	p.send()
}

// bytes tells how much of the step's size is there.
func (p *progress) bytes(n int64) {
	p.now.Bytes = min(n, p.now.Size)
	if took := p.clock().Sub(p.begun); took > 0 {
		p.now.Rate = int64(float64(p.now.Bytes) / took.Seconds())
	}
	p.send()
}

func (p *progress) finish() { p.step(StepDone, 0, 0) }
