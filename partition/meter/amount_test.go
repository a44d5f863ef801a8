package meter

import (
	"math/big"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
)

// seeded returns random numbers whose seed is printed when the test fails.
func seeded(t *testing.T, runs int, f func(*rand.Rand)) {
	t.Helper()
	for range runs {
		seed := rand.Uint64()
		func() {
			defer func() {
				if p := recover(); p != nil || t.Failed() {
					t.Fatalf("seed %d: %v", seed, p)
				}
			}()
			f(rand.New(rand.NewPCG(seed, 0)))
		}()
	}
}

func at(d time.Duration, r Reading) sample { return sample{Boot: "b", At: d, Reading: r} }

func processes(tasks ...Task) Reading { return Reading{By: ByProcess, Tasks: tasks} }

func TestBetween(t *testing.T) {
	tests := []struct {
		name       string
		prev, cur  sample
		want       amount
		wantOwed   uint64
		memory     uint64 // byte-seconds
		disk       uint64
		ignoreRest bool
	}{
		{
			name: "a process runs on",
			prev: at(0, processes(Task{1, 1, 100, 0})), cur: at(1, processes(Task{1, 1, 150, 0})),
			want: amount{Core: 50},
		}, {
			name: "a child ends and is waited for: only what is new counts",
			prev: at(0, processes(Task{1, 1, 100, 0}, Task{2, 2, 40, 0})), cur: at(1, processes(Task{1, 1, 100, 45})),
			want: amount{Core: 5},
		}, {
			name: "a child began and ended in between",
			prev: at(0, processes(Task{1, 1, 100, 0})), cur: at(1, processes(Task{1, 1, 100, 7})),
			want: amount{Core: 7},
		}, {
			name: "a child ends and nobody waits: the others still count",
			prev: at(0, processes(Task{1, 1, 100, 0}, Task{2, 2, 40, 0})), cur: at(1, processes(Task{1, 1, 130, 0})),
			want: amount{Core: 30}, wantOwed: 40,
		}, {
			name: "what is owed is taken off what is reaped later",
			prev: sample{"b", 0, processes(Task{1, 1, 130, 0}), 40}, cur: at(1, processes(Task{1, 1, 130, 45})),
			want: amount{Core: 5},
		}, {
			name: "what is owed is owed once",
			prev: sample{"b", 0, processes(Task{1, 1, 130, 0}), 40}, cur: at(1, processes(Task{1, 1, 131, 0})),
			want: amount{Core: 1},
		}, {
			name: "everything is started again: nothing twice, nothing lost",
			prev: at(0, processes(Task{1, 1, 100, 30}, Task{2, 2, 40, 0})), cur: at(1, processes(Task{8, 8, 3, 2})),
			want: amount{Core: 5},
		}, {
			name: "the number of a process is given again",
			prev: at(0, processes(Task{1, 1, 100, 0})), cur: at(1, processes(Task{1, 2, 150, 0})),
			want: amount{Core: 150},
		}, {
			name: "the counter of a group is reset",
			prev: at(0, Reading{By: ByCgroup, Tasks: []Task{{0, 1, 100, 0}}}), cur: at(1, Reading{By: ByCgroup, Tasks: []Task{{0, 1, 30, 0}}}),
			want: amount{Core: 30},
		}, {
			name: "who counts changes: nothing is compared",
			prev: at(0, processes(Task{1, 1, 100, 0})), cur: at(1, Reading{By: ByCgroup, Tasks: []Task{{0, 1, 9000, 0}}}),
		}, {
			name: "nothing ran, now a group does",
			prev: at(0, Reading{}), cur: at(1, Reading{By: ByCgroup, Tasks: []Task{{0, 1, 9, 0}}}),
			want: amount{Core: 9},
		}, {
			name: "memory and disk are areas",
			prev: at(0, Reading{By: ByProcess, Tasks: []Task{{1, 1, 0, 0}}, Memory: 10, Disk: 4}),
			cur:  at(3*time.Second, Reading{By: ByProcess, Tasks: []Task{{1, 1, 0, 0}}, Memory: 20, Disk: 4}),
			want: amount{Memory: area{0, 90e9}, Disk: area{0, 24e9}}, memory: 45, disk: 12,
		}, {
			name: "with nothing running only disk is used",
			prev: at(0, Reading{Disk: 4}), cur: at(3*time.Second, Reading{Disk: 6}),
			want: amount{Disk: area{0, 30e9}}, disk: 15,
		}, {
			name: "after a reboot tasks begin, and no time has passed",
			prev: sample{"a", time.Hour, Reading{By: ByProcess, Tasks: []Task{{1, 1, 100, 0}}, Memory: 5, Disk: 5}, 7},
			cur:  at(time.Minute, Reading{By: ByProcess, Tasks: []Task{{1, 1, 120, 3}}, Memory: 5, Disk: 5}),
			want: amount{Core: 123},
		}, {
			name: "counters grow, begin and are reset",
			prev: at(0, Reading{Network: []Counter{{"a", 10}, {"b", 10}}, Metrics: map[string]uint64{"rows": 10, "requests": 10}}),
			cur:  at(1, Reading{Network: []Counter{{"b", 15}, {"c", 100}}, Metrics: map[string]uint64{"rows": 12, "requests": 4, "new": 1}}),
			want: amount{Network: 105, Metrics: map[string]uint64{"rows": 2, "requests": 4}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := between(test.prev, &test.cur)
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("used %+v, want %+v", got, test.want)
			}
			if test.cur.Owed != test.wantOwed {
				t.Errorf("owed %d, want %d", test.cur.Owed, test.wantOwed)
			}
			u, _ := got.usage()
			if u.Memory != test.memory || u.Disk != test.disk {
				t.Errorf("%d and %d byte-seconds, want %d and %d", u.Memory, u.Disk, test.memory, test.disk)
			}
		})
	}
}

func randomAmount(r *rand.Rand) amount {
	a := amount{
		Core: r.Uint64() >> r.IntN(64), Network: r.Uint64() >> r.IntN(64),
		Memory: area{r.Uint64() >> (8 + r.IntN(56)), r.Uint64()}, Disk: area{0, r.Uint64() >> r.IntN(64)},
	}
	for _, name := range []string{"rows", "requests"}[:r.IntN(3)] {
		a.count(name, 1+r.Uint64()>>r.IntN(64))
	}
	return a
}

// Splitting an amount anywhere, again and again, gives the same sum.
func TestSplitLosesNothing(t *testing.T) {
	seeded(t, 2000, func(r *rand.Rand) {
		whole := randomAmount(r)
		var sum amount
		left, length := whole, 1+r.Uint64N(1<<50)
		for range r.IntN(6) {
			n := r.Uint64N(length + 1)
			var first amount
			first, left = left.split(n, length)
			sum.add(first)
			if length -= n; length == 0 {
				break
			}
		}
		sum.add(left)
		if !reflect.DeepEqual(sum, whole) {
			t.Errorf("sum %+v, want %+v", sum, whole)
		}
	})
}

// Looking more often changes nothing for counters, nor for what does not
// change; and what is left of one period is in the next.
func TestSumOfPeriodsIsExact(t *testing.T) {
	seeded(t, 500, func(r *rand.Rand) {
		var open amount
		var reported ledger.Usage
		exact := new(big.Int) // twice byte-nanoseconds
		s := at(0, Reading{By: ByProcess, Tasks: []Task{{1, 1, 0, 0}}, Memory: r.Uint64N(maxGauge)})
		var core uint64
		for range 50 {
			next := at(s.At+time.Duration(r.Int64N(int64(time.Minute))), Reading{By: ByProcess, Memory: r.Uint64N(maxGauge) >> r.IntN(50)})
			core += r.Uint64N(1e9)
			next.Reading.Tasks = []Task{{1, 1, core, 0}}
			open.add(between(s, &next))
			area := new(big.Int).SetUint64(s.Reading.Memory + next.Reading.Memory)
			exact.Add(exact, area.Mul(area, big.NewInt(int64(next.At-s.At))))
			s = next
			if r.IntN(5) == 0 {
				var u ledger.Usage
				u, open = open.usage()
				reported.Core += u.Core
				reported.Memory += u.Memory >> 8 // the sum of many would not fit
				exact.Sub(exact, new(big.Int).Mul(new(big.Int).SetUint64(u.Memory), big.NewInt(2e9)))
			}
		}
		left := new(big.Int).Lsh(new(big.Int).SetUint64(open.Memory.Hi), 64)
		left.Or(left, new(big.Int).SetUint64(open.Memory.Lo))
		if left.Cmp(exact) != 0 {
			t.Errorf("left %v, want %v", left, exact)
		}
		if reported.Core+open.Core != core {
			t.Errorf("%d ns, want %d", reported.Core+open.Core, core)
		}
	})
}

// A tree of processes that begin, run, end and are waited for, by their
// parent or by the first of them: what it ran is what is counted.
func TestTreeOfProcesses(t *testing.T) {
	type process struct {
		task   Task
		parent uint64
	}
	seeded(t, 300, func(r *rand.Rand) {
		live := map[uint64]*process{1: {Task{1, 0, 0, 0}, 0}}
		next, clock := uint64(2), uint64(1)
		var truth, counted uint64
		read := func() Reading {
			reading := Reading{By: ByProcess}
			for id := range next {
				if p, ok := live[id]; ok {
					reading.Tasks = append(reading.Tasks, p.task)
				}
			}
			return reading
		}
		last := at(0, read())
		for range 200 {
			ids := make([]uint64, 0, len(live))
			for id := range next {
				if live[id] != nil {
					ids = append(ids, id)
				}
			}
			p := live[ids[r.IntN(len(ids))]]
			switch r.IntN(5) {
			case 0:
				live[next] = &process{Task{next, clock, 0, 0}, p.task.ID}
				next, clock = next+1, clock+1
			case 1, 2:
				n := r.Uint64N(1e9)
				p.task.Own += n
				truth += n
			case 3:
				if p.task.ID == 1 {
					continue
				}
				for _, child := range live {
					if child.parent == p.task.ID {
						child.parent = 1
					}
				}
				live[p.parent].task.Reaped += p.task.Own + p.task.Reaped
				delete(live, p.task.ID)
			case 4:
				cur := at(last.At+time.Second, read())
				counted += between(last, &cur).Core
				last = cur
			}
		}
		cur := at(last.At+time.Second, read())
		if counted += between(last, &cur).Core; counted != truth {
			t.Errorf("counted %d ns, ran %d", counted, truth)
		}
	})
}
