package ledger

import "fmt"

// AdmissionSet says whether strangers may ask to join.
type AdmissionSet struct{ Ask bool }

func (e AdmissionSet) String() string {
	if e.Ask {
		return "strangers may ask to join"
	}
	return "strangers may not ask to join"
}

func (e AdmissionSet) kind() string { return "admission-set" }

func (e AdmissionSet) about() subject { return subject{} }

func (e AdmissionSet) evolve(s *State) {
	mesh, _ := s.Mesh()
	mesh.Ask = e.Ask
	s.setMesh(mesh)
}

// Applied says that somebody asks to join.
type Applied struct{ Applicant Applicant }

func (e Applied) String() string {
	return fmt.Sprintf("%s (%s) asks to join", e.Applicant.Name, e.Applicant.Peer)
}

func (e Applied) kind() string { return "applied" }

func (e Applied) about() subject { return subject{} }

func (e Applied) evolve(s *State) { s.setApplicant(e.Applicant) }

// ApplicantRefused says that somebody may not join.
type ApplicantRefused struct{ Applicant Applicant }

func (e ApplicantRefused) String() string {
	return fmt.Sprintf("refused %s (%s): %s", e.Applicant.Name, e.Applicant.Peer, e.Applicant.Refused)
}

func (e ApplicantRefused) kind() string { return "applicant-refused" }

func (e ApplicantRefused) about() subject { return subject{} }

func (e ApplicantRefused) evolve(s *State) { s.setApplicant(e.Applicant) }

// ApplicantForgotten says that somebody does not wait any more: it was
// admitted, or its time is over.
type ApplicantForgotten struct{ Applicant Applicant }

func (e ApplicantForgotten) String() string {
	return fmt.Sprintf("%s (%s) waits no more", e.Applicant.Name, e.Applicant.Peer)
}

func (e ApplicantForgotten) kind() string { return "applicant-forgotten" }

func (e ApplicantForgotten) about() subject { return subject{} }

func (e ApplicantForgotten) evolve(s *State) { s.dropApplicant(e.Applicant.Peer) }

// CARotated says which CAs the mesh trusts from now on.
type CARotated struct{ CAs []CA }

func (e CARotated) String() string {
	return fmt.Sprintf("another CA, the former one is trusted until %s", e.CAs[len(e.CAs)-2].Until.UTC().Format("2006-01-02T15:04:05Z"))
}

func (e CARotated) kind() string { return "ca-rotated" }

func (e CARotated) about() subject { return subject{} }

func (e CARotated) evolve(s *State) {
	mesh, _ := s.Mesh()
	mesh.CAs = e.CAs
	s.setMesh(mesh)
}
