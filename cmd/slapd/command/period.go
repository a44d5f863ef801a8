package command

import (
	"time"

	"github.com/urfave/cli/v2"
)

// periodFlags choose what happened in a period.
func periodFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "period", Usage: "`PERIOD` is a year, month or day in UTC: 2026, 2026-11 or 2026-11-22"},
		&cli.StringFlag{Name: "from", Usage: "from `TIME` on, such as 2026-11-22T12:00:00Z, or a day, month or year"},
		&cli.StringFlag{Name: "until", Usage: "and before `TIME`"},
	}
}

// period reads the flags of a period. A zero time is no bound.
func (i *invocation) period() (from, until time.Time, err error) {
	if text := i.String("period"); i.IsSet("period") {
		if i.IsSet("from") || i.IsSet("until") {
			return from, until, usagef("--period: not together with --from and --until")
		}
		from, until, ok := calendar(text)
		if !ok {
			return from, until, usagef("--period %s: a year, month or day such as 2026, 2026-11 or 2026-11-22 wanted", text)
		}
		return from, until, nil
	}
	for _, bound := range []struct {
		flag string
		to   *time.Time
	}{{"from", &from}, {"until", &until}} {
		if !i.IsSet(bound.flag) {
			continue
		}
		text := i.String(bound.flag)
		begin, _, ok := calendar(text)
		if at, err := time.Parse(time.RFC3339, text); err == nil {
			begin, ok = at, true
		}
		if !ok {
			return from, until, usagef("--%s %s: a time such as 2026-11-22T12:00:00Z, or a day, month or year wanted", bound.flag, text)
		}
		*bound.to = begin
	}
	if !from.IsZero() && !until.IsZero() && !from.Before(until) {
		return from, until, usagef("--until %s: before --from %s", i.String("until"), i.String("from"))
	}
	return from, until, nil
}

// calendar reads a year, month or day in UTC: where it begins, and where the
// next one does.
func calendar(text string) (from, until time.Time, ok bool) {
	for _, unit := range []struct {
		layout              string
		years, months, days int
	}{{"2006", 1, 0, 0}, {"2006-01", 0, 1, 0}, {time.DateOnly, 0, 0, 1}} {
		if at, err := time.Parse(unit.layout, text); err == nil {
			return at, at.AddDate(unit.years, unit.months, unit.days), true
		}
	}
	return from, until, false
}
