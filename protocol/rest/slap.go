package rest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

// A SlapRequest is the body of the original's REST call for an instance. Its
// clients send all that they want each time, so what is left out goes back to
// its default.
type SlapRequest struct {
	SoftwareRelease string                     `json:"software_release" doc:"name or address of the release"`
	InstanceID      string                     `json:"instance_id" doc:"the requester's own reference"`
	Title           string                     `json:"title,omitempty" doc:"another name of instance_id"`
	InstanceType    string                     `json:"instance_type,omitempty"`
	Parameters      map[string]json.RawMessage `json:"parameters,omitempty"`
	SLA             map[string]string          `json:"sla,omitempty" doc:"what the computer must be"`
	Slave           bool                       `json:"slave,omitempty" doc:"a place inside another instance"`
	Status          protocol.RequestedState    `json:"status,omitempty" enum:"started,stopped,destroyed"`
}

// A SlapInstance is the answer to a SlapRequest.
type SlapInstance struct {
	InstanceID   string            `json:"instance_id"`
	URL          string            `json:"url" doc:"where to ask for it again"`
	Status       protocol.State    `json:"status"`
	Connection   map[string]string `json:"connection" doc:"empty until it is started"`
	ComputerID   string            `json:"computer_id"`
	PartitionID  string            `json:"partition_id"`
	InstanceGUID uint64            `json:"instance_guid"`
}

func (s *Server) slap() {
	answer := reflect.TypeFor[SlapInstance]()
	s.direct(huma.Operation{
		OperationID: "slap-request", Method: http.MethodPost, Path: "/software_instance_module/", Tags: []string{"slap"},
		Summary:     "Request an instance, as clients of the original do",
		RequestBody: s.takes(reflect.TypeFor[SlapRequest]()),
		Responses: map[string]*huma.Response{
			"201": s.says("It is as requested", answer),
			"202": s.says("Accepted; ask again at the url", answer),
		},
	}, s.slapRequest)
}

func (s *Server) slapRequest(w http.ResponseWriter, r *http.Request) error {
	var in SlapRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	request := in.request()
	switch {
	case request.Reference == "":
		return protocol.Errorf(protocol.ErrInvalid, "instance_id is missing: name the instance, as in db1")
	case request.Release == "":
		return protocol.Errorf(protocol.ErrInvalid, "software_release is missing: say what to run, as in mariadb")
	}
	if err := request.Check(); err != nil {
		return err
	}
	i, err := serviceOf(r.Context()).Request(r.Context(), request)
	if err != nil {
		return err
	}
	i = i.Filled()
	status := http.StatusCreated
	if !i.Settled() {
		status = http.StatusAccepted
	}
	at := "/v1/instances/" + url.PathEscape(i.Reference)
	w.Header().Set("Location", at)
	s.answer(w, r, status, SlapInstance{
		InstanceID: i.Reference, URL: at, Status: i.State, Connection: i.Connection,
		ComputerID: i.Computer, PartitionID: i.Partition, InstanceGUID: i.ID,
	})
	return nil
}

func (in SlapRequest) request() protocol.RequestInput {
	out := protocol.RequestInput{
		Reference: cmp.Or(in.InstanceID, in.Title), Release: in.SoftwareRelease, Type: in.InstanceType,
		Parameters: in.Parameters, ReplaceParameters: true, Filter: in.SLA,
		State: cmp.Or(in.Status, protocol.RequestStarted),
	}
	if out.Filter == nil {
		out.Filter = map[string]string{}
	}
	if in.Slave {
		out.Shared = &in.Slave
	}
	return out
}
