package journal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// matches says, the slow way, whether a query asks for e.
func matches(q Query, e Entry) bool {
	posts := slices.ContainsFunc(e.Postings, func(p Posting) bool { return p.Account == q.Account })
	switch {
	case q.Account != "":
		return e.Account == q.Account || posts
	case q.Computer != "":
		return e.Computer == q.Computer
	case q.Instance != 0:
		return e.Instance == q.Instance
	}
	return true
}

// expected answers a query from a list.
func expected(q Query, entries []Entry) []uint64 {
	var list []uint64
	limit := MaxPage
	if q.Limit > 0 {
		limit = min(q.Limit, MaxPage)
	}
	for i := range entries {
		e := entries[i]
		if q.Backwards {
			e = entries[len(entries)-1-i]
		}
		from := e.N >= q.From
		if q.Backwards {
			from = e.N <= q.From
		}
		if from && matches(q, e) && len(list) < limit {
			list = append(list, e.N)
		}
	}
	return list
}

func answer(j *Journal, q Query) (list []uint64, err error) {
	for e, err := range j.Entries(q) {
		if err != nil {
			return list, err
		}
		if !matches(q, e) {
			return list, fmt.Errorf("%+v does not match", e)
		}
		list = append(list, e.N)
	}
	return list, nil
}

func someQuery(rng *rand.Rand, size uint64) Query {
	q := Query{From: rng.Uint64N(size + 3), Backwards: rng.IntN(2) == 0, Limit: rng.IntN(12)}
	if rng.IntN(8) == 0 {
		q.From, q.Limit = ^uint64(0), 3
	}
	switch rng.IntN(4) {
	case 0:
		q.Account = fmt.Sprintf("account-%d", rng.IntN(21))
		if rng.IntN(4) == 0 {
			q.Account = "mesh"
		}
	case 1:
		q.Computer = fmt.Sprintf("computer-%d", rng.IntN(11))
	case 2:
		q.Instance = 1 + rng.Uint64N(51)
	}
	return q
}

func TestEntries(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	j := open(t, t.TempDir())
	entries := someEntries(seed, 0, 1200)
	for done := 0; done < len(entries); {
		end := min(len(entries), done+1+rng.IntN(100))
		if _, err := j.Append(entries[done:end]...); err != nil {
			t.Fatal(err)
		}
		done = end
		for range 40 {
			q := someQuery(rng, uint64(done))
			have, err := answer(j, q)
			if want := expected(q, entries[:done]); err != nil || !slices.Equal(have, want) {
				t.Fatalf("%+v at %d: %v, %v, want %v", q, done, have, err, want)
			}
		}
	}
	for _, q := range []Query{
		{Account: "a", Computer: "b"},
		{Computer: "b", Instance: 1},
		{Account: string(make([]byte, MaxName+1))},
	} {
		if _, err := answer(j, q); err == nil {
			t.Errorf("%+v: no error", q)
		}
	}
}

// TestMissing asks for what is not here.
func TestMissing(t *testing.T) {
	source, j := open(t, t.TempDir()), open(t, t.TempDir())
	add(t, source, 1, 100)
	middle := source.Frontier()
	add(t, source, 1, 200)
	entries := someEntries(1, 0, 200)
	if _, err := j.Append(entries[:40]...); err != nil {
		t.Fatal(err)
	}
	if err := j.Restore(middle); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(entries[100:]...); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		query   Query
		then    int
		missing bool
	}{
		{Query{}, 40, true},
		{Query{Limit: 40}, 40, false},
		{Query{From: 40}, 0, true},
		{Query{From: 99}, 0, true},
		{Query{From: 100}, 100, false},
		{Query{From: 150, Backwards: true}, 51, true},
		{Query{From: 60, Backwards: true}, 0, true},
		{Query{From: 39, Backwards: true}, 40, false},
		{Query{Computer: "computer-1", From: 100}, len(expected(Query{Computer: "computer-1", From: 100}, entries)), false},
		{Query{Computer: "computer-1"}, len(expected(Query{Computer: "computer-1"}, entries[:40])), true},
		{Query{Computer: "nobody"}, 0, true},
		{Query{Computer: "nobody", Backwards: true}, 0, false}, // begins at 0
		{Query{Computer: "nobody", From: 200, Backwards: true}, 0, true},
	} {
		have, err := answer(j, test.query)
		var missing *MissingError
		if errors.As(err, &missing) != test.missing || len(have) != test.then || !test.missing && err != nil {
			t.Errorf("%+v: %d entries, %v", test.query, len(have), err)
		}
	}
	if _, err := j.Append(entries[50:60]...); err == nil {
		t.Error("compared with what is missing")
	}
}
