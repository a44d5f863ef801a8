package source

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// A relay is a web proxy of one program that asks for sources by itself: it
// lets it reach what the guard does.
type relay struct {
	guard  *guard
	secret string
	server *http.Server
	listen net.Listener

	mu      sync.Mutex
	refused error // the last refusal, which the program does not pass on
}

// openRelay opens a proxy on a port of its own, for who knows its URL.
func openRelay(ctx context.Context, g *guard) (*relay, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{guard: g, secret: rand.Text(), listen: l}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = r.server.Serve(l) }()
	return r, nil
}

// close ends the proxy and its connections.
func (r *relay) close() error { return r.server.Close() }

// environ tells a program to ask through the proxy, and through no other.
func (r *relay) environ() []string {
	to := (&url.URL{Scheme: "http", User: url.UserPassword("slapd", r.secret), Host: r.listen.Addr().String()}).String()
	return []string{"http_proxy=" + to, "https_proxy=" + to, "HTTPS_PROXY=" + to, "no_proxy=", "NO_PROXY="}
}

// why returns the refusal behind an error, if there was one.
func (r *relay) why(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && r.refused != nil {
		return r.refused
	}
	return err
}

// ServeHTTP answers one request of the program.
func (r *relay) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	_, secret, _ := (&http.Request{Header: http.Header{"Authorization": request.Header["Proxy-Authorization"]}}).BasicAuth()
	if subtle.ConstantTimeCompare([]byte(secret), []byte(r.secret)) != 1 {
		w.Header().Set("Proxy-Authenticate", "Basic realm=slapd")
		http.Error(w, "not yours", http.StatusProxyAuthRequired)
		return
	}
	request.Header.Del("Proxy-Authorization")
	if request.Method == http.MethodConnect {
		r.connect(w, request)
		return
	}
	proxy := httputil.ReverseProxy{
		Rewrite: func(*httputil.ProxyRequest) {}, Transport: r.guard.transport(), ErrorLog: r.server.ErrorLog,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) { r.refuse(w, err) },
	}
	proxy.ServeHTTP(w, request)
}

func (r *relay) refuse(w http.ResponseWriter, err error) {
	if refused, ok := errors.AsType[*PrivateError](err); ok {
		r.mu.Lock()
		r.refused = finalError{refused}
		r.mu.Unlock()
	}
	http.Error(w, err.Error(), http.StatusBadGateway)
}

// connect makes a tunnel.
func (r *relay) connect(w http.ResponseWriter, request *http.Request) {
	far, err := r.guard.tunnel(request.Context(), request.Host)
	if err != nil {
		r.refuse(w, err)
		return
	}
	defer func() { _ = far.Close() }()
	w.WriteHeader(http.StatusOK)
	near, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = near.Close() }()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(far, buffered) // either end may go at any time
		_ = far.Close()
	}()
	_, _ = io.Copy(near, far)
	_ = near.Close()
	<-done
}

// tunnel connects to HOST:PORT, through the owner's proxy if there is one.
func (g *guard) tunnel(ctx context.Context, address string) (net.Conn, error) {
	proxy, err := g.through(ctx, &url.URL{Scheme: "https", Host: address})
	if err != nil {
		return nil, err
	}
	if proxy == nil {
		return g.dial(ctx, "tcp", address)
	}
	if proxy.Scheme != "http" {
		return nil, fmt.Errorf("the proxy %s is not of a kind that git can be led through: http://… expected", proxy.Redacted())
	}
	c, err := g.dial(ctx, "tcp", withPort(proxy))
	if err != nil {
		return nil, err
	}
	ask := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}
	if proxy.User != nil {
		password, _ := proxy.User.Password()
		ask.SetBasicAuth(proxy.User.Username(), password)
		ask.Header["Proxy-Authorization"] = ask.Header["Authorization"]
		ask.Header.Del("Authorization")
	}
	if err := ask.Write(c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	answer, err := http.ReadResponse(bufio.NewReaderSize(oneByte{c}, 16), ask) //nolint:bodyclose // the answer to CONNECT has none
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("the proxy %s answers %s", proxy.Redacted(), answer.Status)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// oneByte reads no further than it is asked to, so that what follows the
// answer of a proxy is left to who reads next.
type oneByte struct{ net.Conn }

func (o oneByte) Read(p []byte) (int, error) { return o.Conn.Read(p[:1]) }
