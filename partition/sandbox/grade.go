//go:build linux

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/slapmesh/slapmesh/partition/limits"
)

// detect finds the strongest grade by trying, and says why it is no stronger,
// and whether partitions can have networks of their own.
func detect(ctx context.Context, bubblewrap string, groups *limits.Tree) (grade Grade, why string, network bool) {
	if bubblewrap == "" {
		return GradePlain, "bubblewrap is not installed (apt install bubblewrap)", false
	}
	if err := tryWalls(ctx, bubblewrap, false); err != nil {
		return GradePlain, fmt.Sprintf("bubblewrap does not work here: %v", err), false
	}
	if err := tryWalls(ctx, bubblewrap, true); err != nil {
		return GradeSandbox, fmt.Sprintf("partitions share the network of the computer: bubblewrap cannot make another: %v", err), false
	}
	if os.Getuid() != 0 {
		return GradeSandbox, "partitions share the user of slapd, which is not root", true
	}
	if lacks, why := groups.Lacks(); len(lacks) > 0 {
		return GradeSandbox, "no limits on " + strings.Join(lacks, ", ") + ": " + why, true
	}
	return GradeIsolated, "", true
}

// tryWalls runs a program that does nothing inside walls like a partition's.
func tryWalls(ctx context.Context, bubblewrap string, network bool) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	nothing, err := exec.LookPath("true")
	if err != nil {
		return err
	}
	args := append(walls(network), "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--", nothing)
	cmd := exec.CommandContext(ctx, bubblewrap, args...)
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		cmd.Dir = "/"
	}
	out, err := cmd.CombinedOutput()
	if err != nil && len(out) > 0 {
		return errors.New(strings.TrimSpace(string(out)))
	}
	return err
}
