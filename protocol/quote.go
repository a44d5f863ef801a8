package protocol

import "time"

// A Quote says where a request would be placed now, and what that costs.
// Nothing is reserved: the request itself may find it otherwise.
type Quote struct {
	Reference    string `json:"reference"`
	Exists       bool   `json:"exists" doc:"the instance is there, and stays where it is"`
	Release      string `json:"release"`
	Computer     string `json:"computer"`
	ComputerName string `json:"computer_name"`
	Owner        string `json:"owner" doc:"of the computer"`
	Publisher    string `json:"publisher" doc:"of the release"`
	Needs        Needs  `json:"needs"`

	PriceHour string `json:"price_hour" doc:"for an hour of holding the partition and using all that is needed, in credits"`
	AtOnce    string `json:"at_once" doc:"due when it is requested, in credits"`
	SetAside  string `json:"set_aside" doc:"of what the account has, while it is there, in credits"`

	OwnerRates     Rates `json:"owner_rates"`
	PublisherRates Rates `json:"publisher_rates"`

	// Host has the instance inside which a shared one would be, and asks
	// HostRates for the place.
	Host      string `json:"host_account,omitempty" doc:"whose instance a shared one would be inside"`
	HostRates *Rates `json:"host_rates,omitempty" doc:"for the place inside it"`

	Others []Alternative `json:"others" doc:"where it would be if not there, the best first"`
	At     time.Time     `json:"at"`
}

// An Alternative is a computer that would do as well.
type Alternative struct {
	Computer     string `json:"computer"`
	ComputerName string `json:"computer_name"`
	PriceHour    string `json:"price_hour"`
}

// Filled returns q with an empty list in place of a missing one.
func (q Quote) Filled() Quote {
	q.Others = list(q.Others)
	return q
}
