package sandbox

import (
	"path/filepath"

	"github.com/slapmesh/slapmesh/partition/limits"
)

// Config says how partitions are walled on this computer.
type Config struct {
	// Binary is the program that becomes the supervisor; its main calls
	// [supervisor.Main]. Default: this program.
	Binary string

	// RunDir is where daemons of this computer share claims of users. Only
	// root uses it. Default /run/slapd.
	RunDir string

	// Grade asks for weaker walls than the computer could give. Default: the
	// strongest that work.
	Grade Grade
}

// A Partition is one place for an instance.
type Partition struct {
	Folder string // the partition's own, made when it is not there
	Tree   string // the release tree: the root file system inside

	// Limits bound what runs there, as far as the computer can. Zero
	// processes are [DefaultProcesses].
	Limits limits.Limits

	// Egress gives the partition a way out to the Internet: not to this computer,
	// nor to what is private near it. See [Host.WayOut].
	Egress bool

	// Disk is the size of the partition's disk in bytes, as far as the
	// computer can make one for it. Zero is as much as there is.
	Disk int64
}

// DefaultProcesses is how many processes and threads a partition may have
// when nothing else is said: enough for any server, and not for a fork bomb.
const DefaultProcesses = 4096

// A Grade is how strong a partition's walls are.
type Grade string

// The grades, strongest first.
const (
	// GradeIsolated: namespaces, a network and a user of its own, and limits on cores,
	// memory and processes that hold.
	GradeIsolated Grade = "isolated"

	// GradeSandbox: namespaces, but all partitions are the daemon's user, or
	// share the computer's network, or one may use up what the others need.
	GradeSandbox Grade = "sandbox"

	// GradePlain: processes like any other of the user.
	GradePlain Grade = "plain"
)

// DataFolder is where, in the folder of a partition, an instance has its data.
const DataFolder = "data"

// ImageFolder is where, in the folder of a partition, the image of its disk
// is, if it has one of its own. Only the daemon sees it.
const ImageFolder = "disk"

// The parts of a partition's folder. The partition sees data and run, and of
// etc each file by itself; private is the daemon's alone.
const (
	dataDir    = DataFolder
	runDir     = "run"
	etcDir     = "etc"
	privateDir = "private"
)

// Private is the part of a partition's folder that only the daemon sees: what
// it must know about the partition is kept there, and goes with it.
func Private(folder string) string { return filepath.Join(folder, privateDir) }

// Run is the part of a partition's folder with socket and log.
func Run(folder string) string { return filepath.Join(folder, runDir) }
