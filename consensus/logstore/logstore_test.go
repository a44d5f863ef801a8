package logstore_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/slapmesh/slapmesh/consensus/consensustest"
	"github.com/slapmesh/slapmesh/consensus/logstore"
)

func entry(index uint64) []*raft.Log {
	return []*raft.Log{{Index: index, Term: 1, Data: []byte("x")}}
}

func TestEarlyWritesAreReadableBeforeTheyAreDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := consensustest.NewDisk()
		s := logstore.New(disk, logstore.Options{Early: func() bool { return true }})
		disk.Hang()
		for i := range uint64(3) {
			if err := s.StoreLogs(entry(i + 1)); err != nil {
				t.Fatal(err)
			}
		}
		var l raft.Log
		if err := s.GetLog(2, &l); err != nil || l.Index != 2 {
			t.Errorf("read %+v, %v", l, err)
		}
		if last, _ := s.LastIndex(); last != 3 {
			t.Errorf("last index %d, want 3", last)
		}
		var durable atomic.Bool
		go func() {
			if err := s.Durable(2); err != nil {
				t.Error(err)
			}
			durable.Store(true)
		}()
		synctest.Wait()
		if durable.Load() {
			t.Error("durable while the disk hangs")
		}
		disk.Mend()
		synctest.Wait()
		if last, _ := disk.LastIndex(); !durable.Load() || last != 3 {
			t.Errorf("durable %v, %d entries on disk", durable.Load(), last)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestConfigurationIsNeverEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := consensustest.NewDisk()
		s := logstore.New(disk, logstore.Options{Early: func() bool { return true }})
		_ = s.StoreLogs(entry(1))
		if err := s.StoreLogs([]*raft.Log{{Index: 2, Type: raft.LogConfiguration}}); err != nil {
			t.Fatal(err)
		}
		if last, _ := disk.LastIndex(); last != 2 {
			t.Errorf("%d entries on disk, want 2", last)
		}
		_ = s.Close()
	})
}

func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := consensustest.NewDisk()
		s := logstore.New(disk, logstore.Options{WriteTimeout: 10 * time.Second, StallAfter: 2 * time.Second})
		disk.Hang()
		start := time.Now()
		go func() { time.Sleep(2500 * time.Millisecond); disk.Mend() }()
		if err := s.StoreLogs(entry(1)); err != nil || time.Since(start) != 2500*time.Millisecond {
			t.Errorf("a slow write: %v after %v", err, time.Since(start))
		}
		if s.Stalled() {
			t.Error("still stalled")
		}

		disk.Hang()
		var stable atomic.Bool
		go func() { _ = s.SetUint64([]byte("term"), 1); stable.Store(true) }()
		time.Sleep(2100 * time.Millisecond)
		if !s.Stalled() {
			t.Error("not stalled after 2.1s")
		}
		if err := s.StoreLogs(entry(2)); !errors.Is(err, logstore.ErrTimeout) {
			t.Errorf("behind a hung write: %v", err)
		}
		<-s.Broken()
		if err := s.DeleteRange(1, 1); !errors.Is(err, logstore.ErrTimeout) || !s.Stalled() {
			t.Errorf("broken: %v", err)
		}
		disk.Mend()
		synctest.Wait()
		if err := s.StoreLogs(entry(2)); err == nil {
			t.Error("a broken store took a write")
		}
		if err := s.Durable(1); err == nil {
			t.Error("a broken store vouches for an entry")
		}
		if err := s.Close(); !errors.Is(err, logstore.ErrTimeout) {
			t.Errorf("close: %v", err)
		}
		synctest.Wait()
		if !stable.Load() {
			t.Error("stable write waits behind a closed store")
		}
	})
}

func TestFailureIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := consensustest.NewDisk()
		s := logstore.New(disk, logstore.Options{Early: func() bool { return true }})
		disk.FailAfter(1, false)
		_ = s.StoreLogs(entry(1))
		_ = s.StoreLogs(entry(2))
		if err := s.Durable(2); !errors.Is(err, consensustest.ErrDisk) {
			t.Errorf("durable: %v", err)
		}
		disk.Mend()
		if err := s.StoreLogs(entry(3)); !errors.Is(err, consensustest.ErrDisk) {
			t.Errorf("after a failure: %v", err)
		}
		if last, _ := disk.LastIndex(); last != 1 {
			t.Errorf("%d entries on disk, want 1", last)
		}
		_ = s.Close()
	})
}
