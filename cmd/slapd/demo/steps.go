package demo

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// cast is who plays which part, once that is known.
type cast struct {
	leader *peer // killed half-way
	asked  *peer // does not lead; db1 is requested through it and runs on it
	other  *peer // neither
	db1    protocol.Instance
	db2    protocol.Instance
}

func (s *show) found(ctx context.Context) error {
	first, err := s.startPeer("peer-1", s.dir+"/1", "init", "--partitions", "10")
	if err != nil {
		return err
	}
	s.peers = append(s.peers, first)
	status, err := first.await(ctx, func(st protocol.Status) bool { return st.Quorum })
	if err != nil {
		return err
	}
	s.say("peer-1 (%s) listens on UDP %s and leads itself", first.id, status.Listen)
	return nil
}

func (s *show) join(ctx context.Context) error {
	first := s.peers[0]
	status, err := first.Status(ctx)
	if err != nil {
		return err
	}
	token, err := first.CreateToken(ctx, protocol.TokenInput{Uses: s.opt.Peers - 1})
	if err != nil {
		return err
	}
	s.say("slapd join %s --token %s…", status.Listen, token.Token[:min(16, len(token.Token))])
	for n := 2; n <= s.opt.Peers; n++ {
		p, err := s.startPeer("peer-"+strconv.Itoa(n), s.dir+"/"+strconv.Itoa(n),
			"join", status.Listen, "--token", token.Token, "--partitions", "10")
		if err != nil {
			return err
		}
		s.peers = append(s.peers, p)
	}
	voters := 3
	if s.opt.Peers >= 5 {
		voters = 5
	}
	for _, p := range s.peers {
		status, err = p.await(ctx, func(st protocol.Status) bool {
			return st.Members == s.opt.Peers && len(st.Voters) == voters && st.Quorum && st.Leader != ""
		})
		if err != nil {
			return err
		}
	}
	s.say("%d peers see one another, %d of them vote, %s leads", status.Members, len(status.Voters), s.nameOf(status.Leader))
	return s.awaitComputers(ctx)
}

// awaitComputers waits until every peer offers its partitions.
func (s *show) awaitComputers(ctx context.Context) error {
	_, err := s.peers[0].await(ctx, func(protocol.Status) bool {
		computers, err := s.peers[0].Computers(ctx)
		return err == nil && len(computers) == s.opt.Peers
	})
	return err
}

// casting finds out who leads, and gives the other two parts to other voters.
func (s *show) casting(ctx context.Context) error {
	status, err := s.peers[0].await(ctx, func(st protocol.Status) bool { return st.Leader != "" })
	if err != nil {
		return err
	}
	for _, p := range s.peers {
		switch {
		case p.id == status.Leader:
			s.leader = p
		case s.asked == nil:
			s.asked = p
		case s.other == nil:
			s.other = p
		}
	}
	if s.leader == nil || s.asked == nil || s.other == nil {
		return errors.New("the parts of leader and of two others could not be given")
	}
	return nil
}

func (s *show) requestMariaDB(ctx context.Context) error {
	if err := s.casting(ctx); err != nil {
		return err
	}
	s.say("%s leads; asking %s (first time: packages are downloaded and unpacked)", s.leader.name, s.asked.name)
	var err error
	s.db1, err = s.request(ctx, s.asked, "mariadb", "db1", map[string]string{"computer": s.asked.id})
	return err
}

// request asks a peer for an instance and narrates until it is started.
func (s *show) request(ctx context.Context, p *peer, release, reference string, filter map[string]string) (protocol.Instance, error) {
	if _, err := p.Request(ctx, protocol.RequestInput{Reference: reference, Release: release, Filter: filter}); err != nil {
		return protocol.Instance{}, err
	}
	last := ""
	i, err := protocol.Wait(ctx, p, protocol.Ref{Reference: reference}, func(i protocol.Instance) {
		if line := strings.TrimSpace(string(i.State) + " " + i.Reason); stepOf(line) != stepOf(last) {
			s.say("%s is %s", reference, line)
			last = line
		}
	})
	if err != nil {
		return i, err
	}
	s.say("%s runs on %s/%s: %s", reference, i.ComputerName, i.Partition, masked(i.Connection["url"]))
	return i, nil
}

// stepOf is a progress line without its figures, so that one line is told of
// each step and not of each package.
func stepOf(line string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("0123456789./% ", r) {
			return -1
		}
		return r
	}, line)
}

// masked hides the password of a URL.
func masked(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Redacted()
}

// mariadb runs MariaDB's own client, through peer p, against the URL that db1
// published.
func (s *show) mariadb(ctx context.Context, p *peer, statement string) (string, error) {
	u, err := url.Parse(s.db1.Connection["url"])
	if err != nil {
		return "", err
	}
	password, _ := u.User.Password()
	return p.exec(ctx, "db1", "mariadb", "--no-defaults", "--protocol=tcp", "--host="+u.Hostname(), "--port="+u.Port(),
		"--user="+u.User.Username(), "--password="+password, "--skip-column-names", "--batch",
		strings.TrimPrefix(u.Path, "/"), "--execute="+statement)
}

// row is what must survive.
const row = "a row that must not be lost"

func (s *show) writeRow(ctx context.Context) error {
	_, err := s.mariadb(ctx, s.asked, "CREATE TABLE notes (id INT PRIMARY KEY, text VARCHAR(80)); INSERT INTO notes VALUES (1, '"+row+"')")
	if err == nil {
		s.say("INSERT INTO notes VALUES (1, '%s')", row)
	}
	return err
}

func (s *show) killLeader(ctx context.Context) error {
	s.say("kill -9 %s (pid %d)", s.leader.name, s.leader.process.Pid)
	if err := s.leader.kill(ctx); err != nil {
		return err
	}
	start := s.opt.Clock()
	again, err := s.requestAgain(ctx)
	if err != nil {
		return err
	}
	s.say("%s answers after %s: db1 is instance %d on %s/%s", s.other.name, seconds(s.opt.Clock().Sub(start)), again.ID, again.ComputerName, again.Partition)
	if again.ID != s.db1.ID || again.Partition != s.db1.Partition || again.Computer != s.db1.Computer {
		return fmt.Errorf("instance %d on %s/%s before, %d on %s/%s after", s.db1.ID, s.db1.ComputerName, s.db1.Partition, again.ID, again.ComputerName, again.Partition)
	}
	return nil
}

// requestAgain repeats the request for db1 through the other peer. A peer
// that has no leader yet says so; a client asks again, which is safe.
func (s *show) requestAgain(ctx context.Context) (protocol.Instance, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		again, err := s.other.Request(ctx, protocol.RequestInput{Reference: "db1", Release: "mariadb"})
		if !errors.Is(err, protocol.ErrUnavailable) {
			return again, err
		}
		select {
		case <-ctx.Done():
			return again, err
		case <-tick.C:
		}
	}
}

func (s *show) readRow(ctx context.Context) error {
	text, err := s.mariadb(ctx, s.other, "SELECT text FROM notes WHERE id = 1")
	if err != nil {
		return err
	}
	if text != row {
		return fmt.Errorf("the row reads %q", text)
	}
	s.say("SELECT text FROM notes, asked of %s: %s", s.other.name, text)
	return nil
}

func (s *show) noticeDeath(ctx context.Context) error {
	_, err := s.other.await(ctx, func(st protocol.Status) bool {
		members, err := s.other.Members(ctx)
		at := slices.IndexFunc(members, func(m protocol.Member) bool { return m.PeerID == s.leader.id })
		return err == nil && at >= 0 && members[at].State != protocol.MemberAlive && st.Leader != s.leader.id && st.Leader != ""
	})
	if err != nil {
		return err
	}
	status, err := s.other.Status(ctx)
	if err == nil {
		s.say("%s no longer answers; %s leads term %d", s.leader.name, s.nameOf(status.Leader), status.Term)
	}
	return err
}

func (s *show) requestPostgreSQL(ctx context.Context) error {
	var err error
	if s.db2, err = s.request(ctx, s.other, "postgresql", "db2", nil); err != nil {
		return err
	}
	answer, err := s.asked.exec(ctx, "db2", "psql", "--no-psqlrc", "--tuples-only", "--no-align",
		"--command=SELECT 'PostgreSQL answers ' || 6 * 7", s.db2.Connection["url"])
	if err != nil {
		return err
	}
	if answer != "PostgreSQL answers 42" {
		return fmt.Errorf("it says %q", answer)
	}
	s.say("psql, asked of %s: %s", s.asked.name, answer)
	return nil
}

// clean destroys the instances, stops the peers and removes their folders.
// Each part is tried whatever became of the one before.
func (s *show) clean(ctx context.Context) error {
	var errs []error
	if alive := s.survivors(); len(alive) > 0 {
		for _, i := range []protocol.Instance{s.db1, s.db2} {
			if i.Reference != "" {
				errs = append(errs, destroy(ctx, alive[0], i.Reference))
			}
		}
	}
	for _, p := range s.peers {
		errs = append(errs, p.stop(ctx), p.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

func destroy(ctx context.Context, p *peer, reference string) error {
	ref := protocol.Ref{Reference: reference}
	if _, err := p.SetState(ctx, ref, protocol.RequestDestroyed); err != nil && !errors.Is(err, protocol.ErrNotFound) {
		return err
	}
	_, err := protocol.Wait(ctx, p, ref, nil)
	if errors.Is(err, protocol.ErrNotFound) {
		return nil
	}
	return err
}

// survivors are the peers that were not killed.
func (s *show) survivors() []*peer {
	return slices.DeleteFunc(slices.Clone(s.peers), func(p *peer) bool {
		select {
		case <-p.exited:
			return true
		default:
			return false
		}
	})
}

func (s *show) nameOf(id string) string {
	for _, p := range s.peers {
		if p.id == id {
			return p.name
		}
	}
	return id
}
