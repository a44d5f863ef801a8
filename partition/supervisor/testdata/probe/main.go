// Probe is a program for tests: it is slapd as far as a partition knows it,
// and each of the services, steps and checks that the tests need. It is built
// without cgo, so it runs in a tree that holds nothing else.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/slapmesh/slapmesh/partition/sandbox/wayout"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

func main() {
	if supervisor.Is(os.Args) {
		os.Exit(supervisor.Main(os.Args))
	}
	if wayout.Is(os.Args) {
		os.Exit(wayout.Main(os.Args))
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(verb string, args []string) error {
	switch verb {
	case "serve": // ADDRESS [TEXT-FILE]: answer each connection with the pid, and the file
		return serve(args)
	case "sleep":
		return forever()
	case "stubborn": // does not stop when asked
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("stubborn")
		return forever()
	case "fail": // MESSAGE
		return fmt.Errorf("%s", strings.Join(args, " "))
	case "append": // FILE TEXT
		f, err := os.OpenFile(args[0], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = fmt.Fprintln(f, args[1])
		return err
	case "read": // FILE
		b, err := os.ReadFile(args[0])
		os.Stdout.Write(b)
		return err
	case "cat":
		_, err := io.Copy(os.Stdout, os.Stdin)
		return err
	case "terminal": // tell the size of the terminal, and each new one, until the input ends
		return terminal()
	case "exit": // CODE
		code, _ := strconv.Atoi(args[0])
		fmt.Fprintln(os.Stderr, "leaving")
		os.Exit(code)
	case "orphans": // N: leave N children to init, then sleep
		return orphans(args)
	case "chatter": // N: print N lines of 100 bytes, then sleep
		n, _ := strconv.Atoi(args[0])
		for i := range n {
			fmt.Printf("%099d\n", i)
		}
		return forever()
	case "zombies": // print how many there are
		fmt.Println(zombies())
	case "signal": // PID SIGNAL
		pid, _ := strconv.Atoi(args[0])
		n, _ := strconv.Atoi(args[1])
		return syscall.Kill(pid, syscall.Signal(n))
	case "who":
		caps, _ := os.ReadFile("/proc/self/status")
		for _, line := range strings.Split(string(caps), "\n") {
			if strings.HasPrefix(line, "CapEff") || strings.HasPrefix(line, "NoNewPrivs") {
				fmt.Println(line)
			}
		}
		fmt.Println("uid", os.Getuid(), "env", strings.Join(os.Environ(), " "))
		fds, _ := filepath.Glob("/proc/self/fd/*")
		pipes := 0
		for _, fd := range fds {
			if to, _ := os.Readlink(fd); strings.HasPrefix(to, "pipe:") {
				pipes++
			}
		}
		fmt.Println("pipes", pipes)
	case "call": // try to call the supervisor from inside
		conn, err := net.Dial("unix", args[0])
		if err != nil {
			return err
		}
		b, _ := io.ReadAll(conn)
		fmt.Printf("%q\n", b)
	case "impostor": // PATH: take the place of a socket
		if err := os.Remove(args[0]); err != nil {
			return err
		}
		if _, err := net.Listen("unix", args[0]); err != nil {
			return err
		}
		fmt.Println("listening")
		return forever()
	case "hog": // take memory until there is none
		for all := [][]byte{}; ; {
			all = append(all, make([]byte, 1<<20))
			for i := 0; i < 1<<20; i += 4096 {
				all[len(all)-1][i] = 1
			}
		}
	case "bomb": // start copies for ever, each of which does the same
		refused := false
		for {
			_, err := syscall.ForkExec("/proc/self/exe", os.Args, &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}})
			if err != nil && !refused {
				refused = true
				fmt.Println("refused:", err)
			}
		}
	case "escape":
		return escape()
	case "flood": // ADDRESS: say that it listens, and send each connection zeros until it is closed
		l, err := net.Listen("tcp", args[0])
		if err != nil {
			return err
		}
		fmt.Println("listening")
		for {
			conn, err := l.Accept()
			if err != nil {
				return err
			}
			go func() {
				for zeros := make([]byte, 1<<18); err == nil; {
					_, err = conn.Write(zeros)
				}
				conn.Close()
			}()
		}
	case "fill": // FOLDER: write until there is no room, then say how much was written
		return fill(args[0])
	case "litter": // FOLDER: make empty files until no more can be made, then say how many
		for n := 0; ; n++ {
			if err := os.WriteFile(filepath.Join(args[0], strconv.Itoa(n)), nil, 0o600); err != nil {
				fmt.Println(n, err)
				return nil
			}
		}
	case "dial": // ADDRESS...: say what each answers, or why it does not; a path is a Unix socket
		return dial(args)
	case "ls":
		entries, err := os.ReadDir(args[0])
		for _, e := range entries {
			fmt.Println(e.Name())
		}
		return err
	}
	return nil
}

func fill(folder string) error {
	f, err := os.Create(filepath.Join(folder, "filling"))
	if err != nil {
		return err
	}
	defer f.Close()
	for chunk, n := make([]byte, 1<<20), 0; ; {
		written, err := f.Write(chunk)
		if n += written; err != nil {
			fmt.Println(n, err)
			return nil
		}
	}
}

func dial(args []string) error {
	for _, address := range args {
		network := "tcp"
		if strings.HasPrefix(address, "/") {
			network = "unix"
		}
		conn, err := net.DialTimeout(network, address, 2*time.Second)
		if err != nil {
			fmt.Printf("%s: %v\n", address, err)
			continue
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		b, err := io.ReadAll(conn)
		fmt.Printf("%s: OPEN %q %v\n", address, b, err)
		_ = conn.Close()
	}
	return nil
}

func serve(args []string) error {
	l, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	fmt.Println("serving on", args[0])
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		text := ""
		if len(args) > 1 {
			b, _ := os.ReadFile(args[1])
			text = string(b)
		}
		fmt.Fprintf(conn, "%d %s", os.Getpid(), text)
		conn.Close()
	}
}

func orphans(args []string) error {
	n, _ := strconv.Atoi(args[0])
	if len(args) > 1 { // the middle generation: start one that outlives us
		c := exec.Command(os.Args[0], "ls", "/")
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		return c.Start()
	}
	for range n {
		if err := exec.Command(os.Args[0], "orphans", "1", "middle").Run(); err != nil {
			return err
		}
	}
	time.Sleep(300 * time.Millisecond)
	fmt.Println("zombies left:", zombies())
	return forever()
}

func zombies() int {
	n := 0
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, s := range stats {
		b, _ := os.ReadFile(s)
		if _, rest, ok := strings.Cut(string(b), ") "); ok && strings.HasPrefix(rest, "Z") {
			n++
		}
	}
	return n
}

// forever does not return; an empty select would be found out as a deadlock.
func forever() error {
	for {
		time.Sleep(time.Hour)
	}
}
