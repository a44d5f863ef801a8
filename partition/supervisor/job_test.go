package supervisor

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Jobs run when they are due, once all is good, one run at a time; one that
// fails makes the partition unhealthy until it works again; one that takes too
// long, or is not wanted any more, is killed.
func TestJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory{})
		spec := oneService()
		spec.Jobs = []Job{
			{Name: "step-tidy", Argv: []string{"tidy"}, Schedule: "*/10 * * * *"},
			{Name: "slow", Argv: []string{"slow"}, Schedule: "@every 1h", Timeout: 90 * time.Minute},
		}
		r.host.fails["step-tidy"] = 1
		r.apply(spec)
		r.want(PhaseStarted, true, "")
		time.Sleep(9 * time.Minute)
		synctest.Wait()
		r.starts("step-tidy", 0)
		time.Sleep(90 * time.Second)
		synctest.Wait()
		r.starts("step-tidy", 1)
		r.want(PhaseStarted, false, "cron step-tidy: exit status 1")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		r.starts("step-tidy", 2)
		r.want(PhaseStarted, true, "")

		// The slow one is still running when it is due again, and then killed.
		time.Sleep(2*time.Hour + 15*time.Minute)
		r.want(PhaseStarted, false, "cron slow: took longer than 1h30m0s")
		r.starts("slow", 1)
		time.Sleep(time.Hour)
		synctest.Wait()
		r.starts("slow", 2)

		spec.Jobs = nil
		r.apply(spec)
		r.want(PhaseStarted, true, "")
		r.host.mu.Lock()
		if r.host.running["slow"] != nil {
			t.Error("a job that is not wanted any more runs on")
		}
		r.host.mu.Unlock()
		r.starts("web", 1)
	})
}

// TestBadJobs holds what is refused of a job.
func TestBadJobs(t *testing.T) {
	for schedule, ok := range map[string]bool{"* * * * *": true, "@hourly": true, "": false, "61 * * * *": false, "* * * *": false, "now": false} {
		s := Spec{Jobs: []Job{{Name: "j", Argv: []string{"x"}, Schedule: schedule}}}
		if err := s.Validate("/data"); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "schedule") {
			t.Errorf("%q: %v", schedule, err)
		}
	}
}
