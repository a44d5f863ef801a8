package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// terminal tells the size of the terminal that is its input, output and error,
// and that of its session, until the input ends.
func terminal() error {
	control, err := os.Open("/dev/tty")
	if err != nil {
		return err
	}
	_ = control.Close()
	for fd := range 3 {
		if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
			return fmt.Errorf("descriptor %d is no terminal: %w", fd, err)
		}
	}
	resized, ended := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(resized, syscall.SIGWINCH)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	for {
		size, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ)
		if err != nil {
			return err
		}
		fmt.Printf("%dx%d\n", size.Row, size.Col)
		select {
		case <-resized:
		case <-ended:
			fmt.Println("ended")
			return nil
		}
	}
}
