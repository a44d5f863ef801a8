package rest

import (
	"cmp"
	"context"
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
	SoftwareRelease string                     `json:"software_release" minLength:"1" maxLength:"1024" doc:"name or address of the release"`
	InstanceID      string                     `json:"instance_id" minLength:"1" maxLength:"128" doc:"the requester's own reference"`
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
	registerReply(s, huma.Operation{
		OperationID: "slap-request", Method: http.MethodPost, Path: "/software_instance_module/", Tags: []string{"slap"},
		Summary: "Request an instance, as clients of the original do", DefaultStatus: http.StatusCreated,
		Responses: map[string]*huma.Response{
			"202": s.says("Accepted; ask again at the url", reflect.TypeFor[SlapInstance]()),
		},
	}, func(ctx context.Context, v protocol.Service, in *struct{ Body SlapRequest }) (*reply[SlapInstance], error) {
		request := in.Body.request()
		if err := request.Check(); err != nil {
			return nil, err
		}
		i, err := v.Request(ctx, request)
		if err != nil {
			return nil, err
		}
		at := "/v1/instances/" + url.PathEscape(i.Reference)
		return &reply[SlapInstance]{statusOf(i, http.StatusCreated), at, SlapInstance{
			InstanceID: i.Reference, URL: at, Status: i.State, Connection: i.Filled().Connection,
			ComputerID: i.Computer, PartitionID: i.Partition, InstanceGUID: i.ID,
		}}, nil
	})
}

func (in SlapRequest) request() protocol.RequestInput {
	out := protocol.RequestInput{
		Reference: in.InstanceID, Release: in.SoftwareRelease, Type: in.InstanceType,
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
