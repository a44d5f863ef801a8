// Package supervisor is the init of one partition: a small process, inside
// the partition's walls, that makes the partition be what a [Spec] says.
//
// [Main] is that process. It writes the files, runs each once-step until it
// has succeeded once, keeps the services up, and checks the promises. It is
// told what to do over a Unix socket by a [Client], which is how the daemon
// applies a Spec, watches the [Status], runs a command inside, and stops the
// partition. A new Spec is compared with what is: only what changed is done
// again.
//
// # Promises
//
// The supervisor outlives the daemon and holds nothing of it but the socket's
// path: whoever may open the socket may take over. What must survive the
// supervisor itself, which once-steps have run and which files are its own,
// is in one small file in the partition's data folder. When the partition's
// folder is gone, so is the supervisor with all that it runs.
//
// # Deciding and doing
//
// One goroutine owns the machine: it decides, by looking at the whole state
// after each event, which process to start, to signal or to check next. All
// else (waiting for processes, copying logs, speaking on the socket) is done
// by small goroutines that report back as events. Time comes from a clock in
// the machine, so the decisions are tested in virtual time.
//
// Elsewhere: package sandbox builds the walls and starts this process;
// package partition says what the Spec is.
package supervisor
