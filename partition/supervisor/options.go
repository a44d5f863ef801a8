package supervisor

import "strconv"

// Verb is the first argument that makes a program which calls [Main] a
// supervisor.
const Verb = "supervise-partition"

// Options say where a supervisor runs.
type Options struct {
	Root string // the partition's data folder, where commands run
	Run  string // the folder of socket, lock and log; only the supervisor's

	// Ready is a descriptor that receives "ok" once calls are answered, or
	// else why not. Negative means none.
	Ready int

	// Tree is the release tree, if it is not the root file system.
	Tree string

	// Processes bounds the processes and threads of the partition's user.
	// Zero is no bound.
	Processes int64
}

// Args returns the arguments, after the program's name, that start a
// supervisor with o.
func (o Options) Args() []string {
	return []string{Verb, o.Root, o.Run, strconv.Itoa(o.Ready), o.Tree, strconv.FormatInt(o.Processes, 10)}
}

// Is says whether a program started with args (its name first) is to be a
// supervisor and must call [Main], before anything else.
func Is(args []string) bool { return len(args) > 1 && args[1] == Verb }
