package protocol

import "time"

// A Role is what a peer is in its mesh.
type Role string

// The roles. A token carries voter, computer or user; a peer's place in
// consensus is voter, standby or member.
const (
	RoleVoter    Role = "voter"
	RoleComputer Role = "computer"
	RoleUser     Role = "user"
	RoleStandby  Role = "standby"
	RoleMember   Role = "member"
)

// Status describes one peer and the mesh that it sees.
type Status struct {
	PeerID  string `json:"peer_id"`
	Name    string `json:"name"`
	Account string `json:"account" doc:"the account that this peer belongs to"`

	Mesh   string `json:"mesh"`
	MeshID string `json:"mesh_id" doc:"hash of the mesh CA's key"`
	Epoch  uint64 `json:"epoch"`
	Open   bool   `json:"open" doc:"joining needs no token"`

	Role        Role     `json:"role" enum:"voter,standby,member" doc:"this peer's place in consensus"`
	Leader      string   `json:"leader" doc:"peer id; empty when unknown"`
	Term        uint64   `json:"term"`
	CommitIndex uint64   `json:"commit_index"`
	Voters      []string `json:"voters" doc:"peer ids"`
	Standbys    []string `json:"standbys" doc:"peer ids"`
	Quorum      bool     `json:"quorum" doc:"commands can be decided"`
	Stale       bool     `json:"stale" doc:"what is shown may be out of date"`

	Members   int     `json:"members" doc:"number of peers alive"`
	Traffic   Traffic `json:"traffic" doc:"what being a member costs"`
	Reach     Reach   `json:"reach" doc:"how others reach this peer"`
	Instances int     `json:"instances" doc:"number of the caller's instances"`
	Listen    string  `json:"listen"`
	API       string  `json:"api"`
	Grade     string  `json:"grade" doc:"what this computer can enforce on its partitions"`
	Version   string  `json:"version"`

	Whoami   Whoami    `json:"whoami" doc:"who asks"`
	Started  time.Time `json:"started"`
	Warnings []string  `json:"warnings" doc:"what an operator should know, one sentence each"`
}

// Reach is how others reach this peer, and what it carries for them.
type Reach struct {
	NAT      string   `json:"nat" enum:"unknown,none,independent,dependent," doc:"how a translator in between maps: none, one outside address for all (independent), another for each (dependent)"`
	Kind     string   `json:"nat_kind" enum:"unknown,none,firewall,nat,cone,open-cone,restricted-cone,symmetric," doc:"what stands in between, in one word; nat: a translator of which no more is known"`
	Double   bool     `json:"nat_double,omitempty" doc:"the router is behind another translator: a carrier's, or a second router"`
	Hidden   bool     `json:"hidden" doc:"others need the help of relays"`
	External []string `json:"external" doc:"where others see it, if that is not an address of its own"`
	Mapped   string   `json:"mapped,omitempty" doc:"HOST:PORT of the router that leads here"`
	MappedBy string   `json:"mapped_by,omitempty" doc:"nat-pmp or upnp"`
	Relays   []string `json:"relays" doc:"peers through which it is found"`
	Carried  Carried  `json:"carried" doc:"what this peer carried between others"`
}

// Carried counts what a peer carried between others since it started. They
// encrypted it.
type Carried struct {
	Sessions int    `json:"sessions" doc:"now"`
	Packets  uint64 `json:"packets"`
	Bytes    uint64 `json:"bytes"`
	Dropped  uint64 `json:"dropped" doc:"packets over a limit"`
}

// Traffic is what this peer exchanged with others since it started, in bytes.
type Traffic struct {
	Connections    int    `json:"connections" doc:"with other peers, now"`
	Sent           uint64 `json:"sent" doc:"all that went out over them: gossip, ledger, tunnels, handshakes; without IP and UDP headers"`
	Received       uint64 `json:"received"`
	GossipSent     uint64 `json:"gossip_sent" doc:"payload of what peers tell one another of who is here"`
	GossipReceived uint64 `json:"gossip_received"`
}

// A MemberState is what gossip believes of a peer.
type MemberState string

// The states of a member.
const (
	MemberAlive   MemberState = "alive"
	MemberSuspect MemberState = "suspect"
	MemberLeft    MemberState = "left"
	MemberFailed  MemberState = "failed"
)

// A Path is how the asked peer reaches another.
type Path string

// The paths.
const (
	PathSelf    Path = "self"
	PathDirect  Path = "direct"
	PathPunched Path = "punched"
	PathRelayed Path = "relayed"
	PathTCP     Path = "tcp"
)

// A Member is one peer of the mesh.
type Member struct {
	PeerID  string            `json:"peer_id"`
	Name    string            `json:"name"`
	Address string            `json:"address"`
	Account string            `json:"account"`
	Role    Role              `json:"role" enum:"voter,computer,user"`
	State   MemberState       `json:"state" enum:"alive,suspect,left,failed"`
	Path    Path              `json:"path" enum:"self,direct,punched,relayed,tcp,"`
	Labels  map[string]string `json:"labels"`
	NAT     string            `json:"nat" enum:"unknown,none,firewall,nat,cone,open-cone,restricted-cone,symmetric," doc:"what stands between it and others, as it says"`
	Revoked bool              `json:"revoked,omitempty"`
	Since   time.Time         `json:"since" doc:"when state was last seen to change"`
}

// RoleInput is the body of a change of role.
type RoleInput struct {
	Role Role `json:"role" enum:"voter,computer,user"`
}

// LeaveInput says how a peer leaves.
type LeaveInput struct {
	// Force leaves although instances are placed here; they are lost.
	Force bool `json:"force,omitempty"`
}

// A Computer offers partitions.
type Computer struct {
	Computer       string            `json:"computer"`
	Name           string            `json:"name"`
	Owner          string            `json:"owner" doc:"account"`
	Scope          string            `json:"scope" doc:"who may use it"`
	Partitions     int               `json:"partitions"`
	PartitionsFree int               `json:"partitions_free"`
	Capacity       Needs             `json:"capacity" doc:"what it has; what is 0 is not known, and not limited"`
	Reserved       Needs             `json:"reserved" doc:"what its instances need together"`
	Labels         map[string]string `json:"labels"`
	Grade          string            `json:"grade"`
	Arch           string            `json:"arch"`
	State          string            `json:"state" enum:"online,lost,left"`
	Drained        bool              `json:"drained" doc:"takes no new instances"`
	Retired        bool              `json:"retired" doc:"takes no new instances any more"`
	Since          time.Time         `json:"since"`
}
