package release_test

import (
	"strings"
	"testing"
)

// TestCron holds what a profile may say of when something is done.
func TestCron(t *testing.T) {
	for call, want := range map[string]string{
		`i.cron("tidy", ["tidy", "-x"], "30 3 * * *", env = {"A": 1}, timeout = "5m")`: "",
		`i.cron("tidy", ["tidy"], "@every 10m")`:                                       "",
		`i.cron("tidy", ["tidy"], "TZ=Europe/Paris 30 3 * * *")`:                       "schedule",
		`i.cron("tidy", ["tidy"], "0 0 30 2 *")`:                                       "schedule",
		`i.cron("tidy", ["tidy"], "often")`:                                            "schedule",
		`i.cron("tidy", [], "@daily")`:                                                 "empty command",
		`i.cron("My Job", ["x"], "@daily")`:                                            "name",
		`i.cron("a", ["x"], "@daily"); i.cron("a", ["x"], "@daily")`:                   "twice",
		`[i.cron("a%d" % n, ["x"], "@daily") for n in range(129)]`:                     "more than 128",
	} {
		d, err := requesting(t, "def instance(i):\n    "+call+"\n").Evaluate(input(nil))
		switch {
		case want == "" && (err != nil || len(d.Jobs) != 1 || d.Jobs[0].Schedule == ""):
			t.Errorf("%s: %+v: %v", call, d.Jobs, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %s", call, err, want)
		}
	}
}
