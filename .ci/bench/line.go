package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
)

// Lines are connections to one server, one for each client, which carry JSON
// over HTTP/1.1. They are as frugal as can be, whoever is measured: clients
// share the processors with the servers, and it is not they that are compared.
type lines struct {
	network, address string
	path             string
	each             [maxWidth]*line
}

type line struct {
	net.Conn
	in *bufio.Reader
}

// post has a client ask once, and wait for the answer.
func (l *lines) post(client int, body any) error {
	if l.each[client] == nil {
		conn, err := net.Dial(l.network, l.address)
		if err != nil {
			return err
		}
		l.each[client] = &line{conn, bufio.NewReader(conn)}
	}
	err := l.each[client].post(l.path, body)
	if err != nil {
		_ = l.each[client].Close() // it is of no use any more
		l.each[client] = nil
	}
	return err
}

func (l *line) post(path string, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ask := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(data), data)
	if _, err := l.Write(ask); err != nil {
		return err
	}
	answer, err := http.ReadResponse(l.in, nil)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode/100 != 2 {
		text, _ := io.ReadAll(answer.Body) // as much as there is
		return fmt.Errorf("%s: %s", answer.Status, text)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}
