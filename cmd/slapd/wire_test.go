package main_test

import (
	"bytes"
	"crypto/tls"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// tool finds a program that a test needs on top, or skips the test.
func tool(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("skipped, for there is no %s here: apt-get install --no-install-recommends %s", name, pkg)
	}
	return path
}

// secretsOf is what a stranger could recognise a token by, in any form.
func secretsOf(t *testing.T, token string) map[string][]byte {
	t.Helper()
	encoding := base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	payload, err := encoding.DecodeString(strings.TrimPrefix(token, "slapd1-"))
	if err != nil || len(payload) != 52 {
		t.Fatalf("token of %d bytes: %v", len(payload), err)
	}
	return map[string][]byte{
		"the token":                   []byte(token),
		"the digest of the CA":        payload[:32],
		"the digest of the CA in hex": []byte(hex.EncodeToString(payload[:32])),
		"the secret of the token":     payload[32:48],
		"the secret in hex":           []byte(hex.EncodeToString(payload[32:48])),
	}
}

// Who captures all packets of a joining and of a request reads no secret, no
// name and no parameter in them, and no certificate, although what QUIC lets
// everybody decrypt is decrypted.
func TestNothingReadableOnTheWire(t *testing.T) {
	tshark := tool(t, "tshark", "tshark")
	downloaded(t, "mariadb")
	n := newNetwork(t)
	if n == here {
		t.Skip("skipped, for only root makes a network of its own to capture")
	}
	w := newWorld(t, n)
	a := w.start("castle-of-ann", "init", "--mesh", "the-secret-society", "--partitions", "0").up()
	file := filepath.Join(w.dir, "wire.pcap")
	capture := exec.Command(tshark, "-i", "lo", "-w", file, "-q") //nolint:noctx // ended with a signal
	var complaint bytes.Buffer
	capture.Stderr = &complaint
	if err := n.do(capture.Start); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- capture.Wait() }()
	host, port, err := net.SplitHostPort(a.status.Listen)
	if err != nil {
		t.Fatal(err)
	}
	w.until("the capture has begun", func() error { // packets of our own are seen in it
		c, err := n.dialUDP(net.JoinHostPort(host, port))
		if err != nil {
			return err
		}
		_, _ = c.Write([]byte("are you there?"))
		_ = c.Close()
		info, err := os.Stat(file)
		if err == nil && info.Size() < 1000 {
			err = fmt.Errorf("%d bytes captured", info.Size())
		}
		return err
	})

	token := a.token(protocol.TokenInput{Role: protocol.RoleComputer})
	b := w.start("attic-of-bob", "join", a.status.Listen, "--token", token, "--partitions", "0").up()
	_, err = b.Request(t.Context(), protocol.RequestInput{
		Reference: "payroll-2026", Release: "mariadb", Parameters: map[string]json.RawMessage{"database": json.RawMessage(`"salaries_of_all"`)},
	})
	t.Logf("the request, which no computer can serve: %v", err)
	members, err := a.Members(t.Context())
	if err != nil || len(members) != 2 {
		t.Fatalf("%d members, %v", len(members), err)
	}
	w.until("the capture has all until now", func() error {
		const last = "that was all"
		c, err := n.dialUDP(net.JoinHostPort(host, port))
		if err != nil {
			return err
		}
		_, _ = c.Write([]byte(last))
		_ = c.Close()
		raw, err := os.ReadFile(file)
		if err == nil && !bytes.Contains(raw, []byte(last)) {
			err = errors.New("not yet")
		}
		return err
	})
	_ = capture.Process.Signal(syscall.SIGINT)
	if err := <-ended; err != nil {
		t.Fatalf("%v: %s", err, &complaint)
	}

	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	look := exec.CommandContext(t.Context(), tshark, "-r", file, "-d", "udp.port=="+port+",quic", "-V", "-x")
	text, err := look.Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	for _, seen := range []string{"QUIC IETF", "Client Hello", "Server Name Indication"} {
		if !bytes.Contains(text, []byte(seen)) {
			t.Errorf("the capture does not even show %q: it proves nothing", seen)
		}
	}
	secrets := secretsOf(t, token)
	for name, text := range map[string]string{
		"the name of the mesh": "the-secret-society", "its id": a.status.MeshID, "a name": "castle-of-ann", "another name": "attic-of-bob",
		"an id": a.status.PeerID, "another id": b.status.PeerID, "the reference": "payroll-2026", "a parameter": "salaries_of_all", "the release": "mariadb",
		"the account": "operator", "a certificate": "BEGIN CERTIFICATE",
	} {
		secrets[name] = []byte(text)
	}
	for name, secret := range secrets {
		if bytes.Contains(raw, secret) || bytes.Contains(text, secret) {
			t.Errorf("the wire shows %s", name)
		}
	}
	if bytes.Contains(text, []byte("Handshake Protocol: Certificate")) {
		t.Error("the wire shows a certificate")
	}
	t.Logf("%d bytes captured", len(raw))
}

// dialUDP makes a socket in the network.
func (n *network) dialUDP(address string) (c net.Conn, err error) {
	err = n.do(func() error {
		c, err = net.Dial("udp", address) //nolint:noctx // it does not wait
		return err
	})
	return c, err
}

// A port scan of a private mesh finds that QUIC answers, and nothing else: no
// name, no version, no certificate, no other port.
func TestPortScan(t *testing.T) {
	nmap := tool(t, "nmap", "nmap")
	n := newNetwork(t)
	if n == here {
		t.Skip("skipped, for only root makes a network of its own to scan")
	}
	w := newWorld(t, n)
	a := w.start("castle-of-ann", "init", "--mesh", "the-secret-society", "--partitions", "0", "--listen", "127.0.0.2:7527").up()
	scan := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), nmap, append(args, "-Pn", "-n", "--max-retries", "1", "--host-timeout", "80s", "127.0.0.2")...)
		var out []byte
		if err := n.do(func() (err error) {
			out, err = cmd.CombinedOutput()
			return err
		}); err != nil {
			t.Fatalf("nmap: %v: %s", err, out)
		}
		return string(out)
	}
	tcp := scan("-sT", "-p", "1-65535", "-T5")
	udp := scan("-sU", "-p", "7527")
	service := scan("-sT", "-sV", "--version-intensity", "2", "--script", "ssl-cert,ssl-enum-ciphers", "-p", "7527")
	t.Logf("%s\n%s\n%s", tcp, udp, service)
	for _, text := range []string{tcp, udp, service} {
		for _, told := range []string{"slapd", "slapmesh", "Subject:", "commonName", "the-secret-society", "castle", a.status.MeshID, a.status.PeerID} {
			if strings.Contains(text, told) {
				t.Errorf("a scan tells %q", told)
			}
		}
	}
	for line := range strings.Lines(tcp) {
		if strings.Contains(line, "/tcp") && strings.Contains(line, "open") && !strings.HasPrefix(line, "7527/") {
			t.Errorf("another port answers: %s", line)
		}
	}
	// TLS over TCP ends as it does over QUIC: with an alert, before a certificate.
	for _, config := range []*tls.Config{
		{InsecureSkipVerify: true},
		{InsecureSkipVerify: true, ServerName: "mesh.example.org", NextProtos: []string{"slapd/1"}},
		{InsecureSkipVerify: true, ServerName: strings.Repeat("a", 52), NextProtos: []string{"slapd-join/1"}},
		{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}},
	} {
		c, err := n.dial("127.0.0.2:7527")
		if err != nil {
			t.Fatal(err)
		}
		client := tls.Client(c, config)
		err = client.HandshakeContext(t.Context())
		if shown := client.ConnectionState().PeerCertificates; err == nil || len(shown) > 0 {
			t.Errorf("%s %v: %d certificates, %v", config.ServerName, config.NextProtos, len(shown), err)
		}
		_ = c.Close()
	}

	// What a prober may send, and what comes back: nothing, or a packet of QUIC
	// whose content only the version is.
	c, err := n.dialUDP("127.0.0.2:7527")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	initial := append([]byte{0xc3, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 7, 6, 5, 4, 3, 2, 1}, make([]byte, 1200)...)
	for name, probe := range map[string][]byte{
		"garbage": []byte("GET / HTTP/1.0\r\n\r\n"), "long garbage": bytes.Repeat([]byte{0x16, 3, 1}, 500), "a DTLS hello": append([]byte{0x16, 0xfe, 0xfd}, make([]byte, 60)...),
		"a version that is none": initial, "an empty initial": append([]byte{0xc3, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x44, 0xb0}, make([]byte, 1200)...),
	} {
		if _, err := c.Write(probe); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		answer := make([]byte, 2000)
		size, err := c.Read(answer)
		if err != nil {
			continue // silence
		}
		answer = answer[:size]
		if len(answer) < 7 || answer[0]&0x80 == 0 || !bytes.Equal(answer[1:5], make([]byte, 4)) {
			t.Errorf("%s is answered with %d bytes: %x", name, size, answer)
		} else {
			t.Logf("%s is answered with the versions of QUIC: %x", name, answer)
		}
	}
}
