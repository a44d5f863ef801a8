package mesh

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/slapmesh/slapmesh/mesh/frame"
)

// A JoinConfig says whom to join and as who. Identity, Address, Clock and
// either Token or Fingerprint are required.
type JoinConfig struct {
	Identity *Identity
	// Socket is the one that the Mesh will use afterwards; Join does not
	// close it. Nil: any.
	Socket net.PacketConn
	// Address is HOST:PORT of any peer of the mesh.
	Address string
	// Token admits to a private mesh, Fingerprint names an open one.
	Token       *Token
	Fingerprint *Fingerprint
	// Known is the digest of the CA that this peer was a member under before,
	// if it was: the mesh must be of the same line, or the error matches
	// ErrOtherMesh.
	Known     *[32]byte
	Name      string
	Role      string   // wished for; the token decides
	Addresses []string // where others should reach this peer, if it knows
	Clock     func() time.Time
	// Timeout bounds how long the peer may keep silent. Default 10 s.
	Timeout time.Duration

	returning bool   // a member whose certificate expired, which shows its key
	nonce     []byte // to only look, and be knocked back with
}

// A JoinResult is what a peer needs to be a member.
type JoinResult struct {
	Credentials Credentials
	Seeds       []Descriptor // other peers, to be given to Mesh.AddSeeds
	Role        string
	Account     string
	Epoch       uint64
	Observed    string // the address that the other peer saw us at
}

func (c JoinConfig) digest() ([32]byte, error) {
	switch {
	case c.Identity == nil:
		return [32]byte{}, errors.New("join: Identity required")
	case c.Clock == nil:
		return [32]byte{}, errors.New("join: Clock required")
	case c.Token != nil && c.Fingerprint != nil && c.Token.CADigest != *c.Fingerprint:
		return [32]byte{}, errors.New("join: the token is for another mesh than the fingerprint: ask for a token of this one")
	case c.Token != nil:
		return c.Token.CADigest, nil
	case c.Fingerprint != nil:
		return *c.Fingerprint, nil
	}
	return [32]byte{}, errors.New("join: neither a token nor a fingerprint: a private mesh wants --token, an open one, or one where one may ask, HOST:PORT#FINGERPRINT")
}

// Join asks the peer at an address to be admitted to its mesh. The peer is
// believed only if it shows a certificate of the CA that the token or
// fingerprint names. Errors say what to do.
func Join(ctx context.Context, c JoinConfig) (*JoinResult, error) {
	digest, err := c.digest()
	if err != nil {
		return nil, err
	}
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	result, err := join(ctx, c, digest)
	if err != nil {
		return nil, fmt.Errorf("join %s: %w", c.Address, explain(err, c))
	}
	return result, nil
}

func join(ctx context.Context, c JoinConfig, digest [32]byte) (_ *JoinResult, err error) {
	socket := c.Socket
	if socket == nil {
		if socket, err = Bind(":0"); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, socket.Close()) }()
	}
	transport := &quic.Transport{Conn: socket, ConnectionIDLength: 8}
	defer func() { err = errors.Join(err, transport.Close()) }()

	result, _, err := joinOver(ctx, c, digest, transport)
	return result, err
}

// result is what an answer brings, if it is believed.
func (r joinReply) result(c JoinConfig, ca *x509.Certificate) (*JoinResult, error) {
	theirs := time.Unix(0, r.Clock)
	if reason := clockReason(c.Clock().Sub(theirs), theirs); reason != "" {
		return nil, Refuse(reason)
	}
	switch {
	case r.Removed:
		return nil, errWasRemoved
	case r.Since != 0:
		return nil, &Waiting{c.Identity.ID(), time.Unix(r.Since, 0), time.Unix(r.Until, 0)}
	case r.Refused != "":
		return nil, Refuse(r.Refused)
	}
	credentials := Credentials{r.Certificate, ca.Raw, r.MeshName}
	if _, _, err := credentials.check(c.Identity); err != nil {
		return nil, fmt.Errorf("the peer sent a certificate that is not ours: %w", err)
	}
	result := &JoinResult{Credentials: credentials, Role: r.Role, Account: r.Account, Epoch: r.Epoch, Observed: r.Observed}
	for _, encoded := range r.Seeds[:min(len(r.Seeds), joinSeeds)] {
		if d, err := parseDescriptor(encoded, meshIDOfCA(ca)); err == nil {
			result.Seeds = append(result.Seeds, d)
		}
	}
	return result, nil
}

// knock connects to the peer and checks that it is of the mesh.
func knock(ctx context.Context, c JoinConfig, digest [32]byte, t *quic.Transport) (*x509.Certificate, *quic.Conn, error) {
	own, err := selfSigned(c.Identity, c.Clock())
	if err != nil {
		return nil, nil, err
	}
	to, err := resolve(ctx, c.Address)
	if err != nil {
		return nil, nil, err
	}
	return knockAt(ctx, c, digest, t, own, to)
}

// knockAt connects to one address.
func knockAt(ctx context.Context, c JoinConfig, digest [32]byte, t *quic.Transport, own tls.Certificate, to *net.UDPAddr) (*x509.Certificate, *quic.Conn, error) {
	var ca *x509.Certificate
	config := doorConfig(own, digest, c.Known, func(c *x509.Certificate) { ca = c })
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	conn, err := t.Dial(ctx, to, config, &quic.Config{
		HandshakeIdleTimeout:  c.Timeout,
		MaxIncomingStreams:    -1,
		MaxIncomingUniStreams: -1,
	})
	return ca, conn, err
}

// doorConfig is for connections to a door. Found is told the mesh's CA, once
// the peer showed that it is the one that the digest names, and of the line of a known one, if any.
func doorConfig(own tls.Certificate, digest [32]byte, known *[32]byte, found func(ca *x509.Certificate)) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{alpnJoin},
		ServerName:         proof(digest, anybody),
		InsecureSkipVerify: true, // VerifyConnection checks against the digest
		Certificates:       []tls.Certificate{own},
		VerifyConnection: func(s tls.ConnectionState) error {
			ca, err := checkDoor(s, digest, known)
			if err == nil {
				found(ca)
			}
			return err
		},
	}
}

// checkDoor checks the chain that a peer shows to who joins: the CA must be
// the one we look for, or follow it. Dates are not looked at, for our clock may be wrong,
// which is told in clear later.
func checkDoor(s tls.ConnectionState, digest [32]byte, known *[32]byte) (*x509.Certificate, error) {
	if len(s.PeerCertificates) == 0 {
		return nil, errors.New("the peer does not show its mesh")
	}
	leaf := s.PeerCertificates[0]
	ca, err := descends(s.PeerCertificates[1:], digest)
	if err != nil {
		return nil, err
	}
	if known != nil {
		if _, err := descends(s.PeerCertificates[1:], *known); err != nil {
			return nil, ErrOtherMesh
		}
	}
	_, err = checkPeer(leaf, ca, leaf.NotBefore)
	return ca, err
}

// ask sends the request and reads the answer.
func ask(ctx context.Context, c JoinConfig, conn *quic.Conn) (joinReply, error) {
	var reply joinReply
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return reply, err
	}
	request := joinRequest{Format: joinFormat, Nonce: c.nonce, Name: c.Name, Clock: c.Clock().UnixNano(), Role: c.Role, Addresses: c.Addresses, Returning: c.returning}
	if len(c.nonce) > 0 {
		request.Format = inspectFormat
	}
	if c.Token != nil {
		request.Secret = c.Token.Secret[:]
	}
	if err := frame.Write(stream, request); err != nil {
		return reply, err
	}
	if err := stream.Close(); err != nil {
		return reply, err
	}
	if err := frame.Read(stream, joinReplyMax, &reply); err != nil {
		return reply, err
	}
	switch {
	case reply.Format > joinFormat:
		return reply, fmt.Errorf("version too old: the peer answers in format %d, this slapd reads %d: upgrade slapd here", reply.Format, joinFormat)
	case reply.Format < joinFormat:
		return reply, fmt.Errorf("version too new: the peer answers in format %d, this slapd reads %d: upgrade slapd there, or join through another peer", reply.Format, joinFormat)
	}
	return reply, nil
}

// errOtherCA means that a peer answers, but of another mesh.
var errOtherCA = errors.New("the peer is of another mesh than the token or fingerprint")

// explain says what to do about a failed join.
func explain(err error, c JoinConfig) error {
	_, port, splitErr := net.SplitHostPort(c.Address)
	if splitErr != nil {
		return fmt.Errorf("%w: write HOST:PORT", err)
	}
	var (
		tlsRefused *quic.TransportError
		lookup     *net.DNSError
		handshake  *quic.HandshakeTimeoutError
		idle       *quic.IdleTimeoutError
	)
	switch {
	case errors.Is(err, ErrRefused):
		return fmt.Errorf("%w: %w", ErrRefused, err)
	case errors.Is(err, ErrOtherMesh), rank(err) < 9:
		return err // it says what to do already
	case errors.As(err, &lookup):
		return fmt.Errorf("no such host: check the name: %w", err)
	case errors.As(err, &handshake), errors.As(err, &idle), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer within %s: is slapd running there, is %s its port, and does no firewall block UDP port %s? %w", c.Timeout, port, port, err)
	case errors.As(err, &tlsRefused) && tlsRefused.Remote && tlsRefused.ErrorCode.IsCryptoError():
		return fmt.Errorf("the peer there is of another mesh than the token or fingerprint (or is not slapd): check the address, or ask for a token of this mesh: %w", err)
	case errors.Is(err, errOtherCA):
		return fmt.Errorf("%w: check the address, or ask for a token of this mesh", errOtherCA)
	}
	return err
}

// selfSigned is a certificate that proves nothing but that we hold our key.
// Its dates are wide: who joins may have a wrong clock.
func selfSigned(identity *Identity, now time.Time) (tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    now.AddDate(-1, 0, 0),
		NotAfter:     now.AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, identity.PublicKey(), identity.key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("prove identity: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: identity.key}, nil
}

func tokenDigest(secret []byte) (digest [32]byte) {
	if len(secret) > 0 {
		digest = sha256.Sum256(secret)
	}
	return digest
}

// Bind opens the UDP socket that a mesh runs on.
func Bind(listen string) (*net.UDPConn, error) {
	address, err := net.ResolveUDPAddr("udp", listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w: write HOST:PORT", listen, err)
	}
	socket, err := net.ListenUDP("udp", address)
	switch {
	case err != nil && strings.Contains(err.Error(), "address already in use"):
		return nil, fmt.Errorf("listen on UDP port %d: another program, or another slapd, uses it: stop that one, or choose another port with --listen HOST:PORT (0 picks one): %w", address.Port, err)
	case err != nil:
		return nil, fmt.Errorf("listen on %s: %w: choose another address with --listen HOST:PORT", listen, err)
	}
	return socket, nil
}
