package meter

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/slapmesh/slapmesh/ledger"
)

// The files of the meter's folder, beside those of reports.
const (
	checkpointFile = "open"
	damagedFile    = "open.damaged"
	lockFile       = "lock"
	refusedDir     = "refused"
	reportSuffix   = ".report"
)

// maxRefused bounds the refused reports that are kept for people to look at.
const maxRefused = 1000

// reportFile names the file of a report so that names sort as numbers do.
func reportFile(number uint64) string { return fmt.Sprintf("%020d%s", number, reportSuffix) }

// reportNumber returns the number of a report's file.
func reportNumber(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, reportSuffix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil && n > 0 && reportFile(n) == name
}

// A spool is the reports that wait for their turn, on disk and in the order
// of their numbers. It holds no lock: the meter does.
type spool struct {
	disk    disk
	waiting []uint64         // ascending
	sizes   map[uint64]int64 // of those
	bytes   int64            // of all of them
	refused []uint64         // ascending
}

// openSpool looks up what is there.
func openSpool(d disk) (*spool, error) {
	s := &spool{disk: d, sizes: make(map[uint64]int64)}
	files, err := d.list(".")
	if err != nil {
		return nil, err
	}
	if err := clean(d, files); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if n, ok := reportNumber(name); ok {
			s.append(n, files[name])
		}
	}
	refused, err := d.list(refusedDir)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(refused)) {
		if n, ok := reportNumber(name); ok {
			s.refused = append(s.refused, n)
		}
	}
	return s, nil
}

func (s *spool) append(number uint64, size int64) {
	if old, ok := s.sizes[number]; ok {
		s.bytes -= old
	} else {
		at, _ := slices.BinarySearch(s.waiting, number)
		s.waiting = slices.Insert(s.waiting, at, number)
	}
	s.sizes[number] = size
	s.bytes += size
}

// last returns the highest number of all reports, or zero.
func (s *spool) last() uint64 {
	var last uint64
	for _, of := range [][]uint64{s.waiting, s.refused} {
		if len(of) > 0 {
			last = max(last, of[len(of)-1])
		}
	}
	return last
}

// has says whether the report waits.
func (s *spool) has(number uint64) bool { _, ok := s.sizes[number]; return ok }

// add makes a report durable.
func (s *spool) add(number uint64, report ledger.SignedUsage) error {
	data, err := pack(reportHeader, report)
	if err == nil {
		err = replace(s.disk, reportFile(number), data)
	}
	if err != nil {
		return fmt.Errorf("spool report %d: %w", number, err)
	}
	s.append(number, int64(len(data)))
	return nil
}

// readReport reads the report with that number. It needs no lock.
func readReport(d disk, number uint64) (ledger.SignedUsage, error) {
	var report ledger.SignedUsage
	data, err := d.read(reportFile(number))
	if err == nil {
		err = unpack(reportHeader, data, &report)
	}
	if err != nil {
		return ledger.SignedUsage{}, fmt.Errorf("read report %d: %w", number, err)
	}
	return report, nil
}

// drop forgets a report that the ledger has. If a crash brings it back, it is
// sent again and the ledger knows it.
func (s *spool) drop(number uint64) error {
	if err := s.disk.remove(reportFile(number)); err != nil {
		return fmt.Errorf("drop report %d: %w", number, err)
	}
	s.forget(number)
	return nil
}

// refuse sets a report aside.
func (s *spool) refuse(number uint64) error {
	aside := filepath.Join(refusedDir, reportFile(number))
	if err := s.disk.rename(reportFile(number), aside); err != nil {
		return fmt.Errorf("set report %d aside: %w", number, err)
	}
	s.forget(number)
	if at, found := slices.BinarySearch(s.refused, number); !found {
		s.refused = slices.Insert(s.refused, at, number)
	}
	for len(s.refused) > maxRefused {
		if err := s.disk.remove(filepath.Join(refusedDir, reportFile(s.refused[0]))); err != nil {
			return fmt.Errorf("remove refused report %d: %w", s.refused[0], err)
		}
		s.refused = s.refused[1:]
	}
	return nil
}

func (s *spool) forget(number uint64) {
	s.bytes -= s.sizes[number]
	delete(s.sizes, number)
	s.waiting = slices.DeleteFunc(s.waiting, func(n uint64) bool { return n == number })
}
