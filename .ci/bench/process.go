package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is a program that is measured.
type process struct {
	*os.Process
	log    string
	exited chan struct{}
}

// launch starts a program that writes to a file in dir.
func launch(dir string, program string, args ...string) (*process, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "output.log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd.Process, path, make(chan struct{})}
	go func() {
		defer close(p.exited)
		_ = cmd.Wait() // how it ends is seen by who waits for it
	}()
	return p, nil
}

// end sends a signal and waits until the process is gone.
func (p *process) end(signal syscall.Signal) {
	_ = p.Signal(signal)
	select {
	case <-p.exited:
	case <-time.After(20 * time.Second):
		_ = p.Kill()
		<-p.exited
	}
}

// lastWords is the end of what the process wrote.
func (p *process) lastWords() string {
	data, _ := os.ReadFile(p.log)
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return lines[len(lines)-1]
}

// clockTick is the unit of times in /proc: USER_HZ, 100 on every Linux.
const clockTick = 10 * time.Millisecond

// cpu is the processor time that the processes have used.
func cpu(all ...*process) time.Duration {
	var sum time.Duration
	for _, p := range all {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid))
		if err != nil {
			continue
		}
		fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
		for _, n := range []int{11, 12} { // user, system
			ticks, _ := strconv.ParseInt(string(fields[n]), 10, 64)
			sum += time.Duration(ticks) * clockTick
		}
	}
	return sum
}

// ownCPU is the processor time that this program has used.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memory returns the resident memory of a process, whole and as its share of
// pages that others map too, in MiB.
func memory(p *process) (rss, pss float64) {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.Pid))
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		kib, _ := strconv.ParseFloat(fields[1], 64)
		switch fields[0] {
		case "Rss:":
			rss = kib / 1024
		case "Pss:":
			pss = kib / 1024
		}
	}
	return rss, pss
}
