package protocol

import (
	"context"
	"time"
)

// Money is about prices, wallets and bills. Sums and rates are decimal numbers
// of credits, as text: "12.50".
type Money interface {
	// Prices lists what accounts ask for their computers and releases, and
	// from when on, sorted by account, then by release.
	Prices(ctx context.Context) ([]Price, error)

	// SetPrice says what the caller's account asks from a moment on, never a
	// past one. The same again changes nothing.
	SetPrice(ctx context.Context, in PriceInput) (Price, error)

	// Statement tells what an account has, what it has set aside, and its
	// bills: those that run, and the last of those that have ended.
	Statement(ctx context.Context, account string) (Statement, error)

	// Pay moves money, once for each ID.
	Pay(ctx context.Context, in PaymentInput) (Statement, error)

	// SetLimit says what an account may spend. Operators only.
	SetLimit(ctx context.Context, in LimitInput) (Statement, error)

	// ReviewBill accepts or disputes what was billed for an instance.
	ReviewBill(ctx context.Context, in ReviewInput) (Bill, error)

	// Terms returns what the mesh agrees on about money.
	Terms(ctx context.Context) (Terms, error)

	// SetTerms changes it. Operators only. What is empty becomes the default.
	SetTerms(ctx context.Context, in Terms) (Terms, error)
}

// Accounts of the book that are nobody's.
const (
	MintAccount = "@mint" // where credits come from
	MeshAccount = "@mesh" // what the mesh keeps of what owners earn
)

// What a payer may think of a bill.
const (
	VerdictAccepted = "accepted"
	VerdictDisputed = "disputed"
)

// Rates are prices for units of what is used. What is empty is free.
type Rates struct {
	Core      string            `json:"core_hour" required:"false" maxLength:"24" pattern:"^([0-9]{1,7}([.][0-9]{1,12})?)?$" patternDescription:"a decimal number of credits with at most 12 decimals, such as 0.02" doc:"for an hour of one core"`
	Memory    string            `json:"memory_gib_hour" required:"false" maxLength:"24" pattern:"^([0-9]{1,7}([.][0-9]{1,12})?)?$" patternDescription:"a decimal number of credits with at most 12 decimals, such as 0.02" doc:"for a GiB of memory and an hour"`
	Disk      string            `json:"disk_gib_hour" required:"false" maxLength:"24" pattern:"^([0-9]{1,7}([.][0-9]{1,12})?)?$" patternDescription:"a decimal number of credits with at most 12 decimals, such as 0.02" doc:"for a GiB of disk and an hour"`
	Network   string            `json:"network_gib" required:"false" maxLength:"24" pattern:"^([0-9]{1,7}([.][0-9]{1,12})?)?$" patternDescription:"a decimal number of credits with at most 12 decimals, such as 0.02" doc:"for a GiB, in or out"`
	Partition string            `json:"partition_hour" required:"false" maxLength:"24" pattern:"^([0-9]{1,7}([.][0-9]{1,12})?)?$" patternDescription:"a decimal number of credits with at most 12 decimals, such as 0.02" doc:"for an hour that a partition is held"`
	Request   string            `json:"request" required:"false" maxLength:"24" pattern:"^([0-9]{1,7}([.][0-9]{1,12})?)?$" patternDescription:"a decimal number of credits with at most 12 decimals, such as 0.02" doc:"once for each instance"`
	Metrics   map[string]string `json:"metrics,omitempty" maxProperties:"16" doc:"for a unit of what the release counts"`
}

// A Price is what an account asks.
type Price struct {
	Account string         `json:"account"`
	Release string         `json:"release" doc:"name; empty for the account's computers"`
	Places  bool           `json:"places,omitempty" doc:"for shared instances inside the account's instances of the release, not for the release"`
	Rates   Rates          `json:"rates" doc:"in force now"`
	From    time.Time      `json:"from" doc:"since when"`
	Next    []PriceVersion `json:"next" doc:"what will be in force later"`
}

// A PriceVersion is what is asked from a moment on.
type PriceVersion struct {
	From  time.Time `json:"from"`
	Rates Rates     `json:"rates"`
}

// A PriceInput sets a price.
type PriceInput struct {
	Account string    `json:"account,omitempty" maxLength:"64" doc:"the caller's if empty; another's for operators"`
	Release string    `json:"release,omitempty" maxLength:"128" doc:"name of a release that the account has published; empty for its computers"`
	Places  bool      `json:"places,omitempty" doc:"for shared instances inside the account's instances of the release, whoever published that"`
	From    time.Time `json:"from,omitzero" doc:"now if missing"`
	Rates   Rates     `json:"rates"`
}

// A Statement is what an account has and owes.
type Statement struct {
	Account  string     `json:"account"`
	Balance  string     `json:"balance"`
	Reserved string     `json:"reserved" doc:"set aside for what runs"`
	Limited  bool       `json:"limited" doc:"spends no more than balance and limit"`
	Limit    string     `json:"limit"`
	Free     string     `json:"free" doc:"what may still be promised; meaningless where it is not limited"`
	Short    *time.Time `json:"short_since" doc:"since when more was spent than may be; null if it is not so"`
	StopsAt  *time.Time `json:"stops_at" doc:"when the account's instances are stopped for it"`
	Pays     []Bill     `json:"pays" doc:"for the account's instances"`
	Earns    []Bill     `json:"earns" doc:"for instances on its computers, or of its releases, as far as this peer knows"`
}

// A Bill is what one instance costs.
type Bill struct {
	Instance     string     `json:"instance" doc:"id in the ledger"`
	Reference    string     `json:"reference"`
	Payer        string     `json:"payer"`
	Owner        string     `json:"owner" doc:"of the computer"`
	Publisher    string     `json:"publisher" doc:"of the release"`
	Release      string     `json:"release"`
	Computer     string     `json:"computer"`
	ComputerName string     `json:"computer_name" doc:"its id, once it is forgotten"`
	From         time.Time  `json:"from"`
	Until        *time.Time `json:"until" doc:"null while it holds its partition"`
	Billed       time.Time  `json:"billed" doc:"what was used up to here is billed"`
	Total        string     `json:"total" doc:"what the payer pays: to_owner, to_publisher, to_mesh, former_owners and host"`
	ToOwner      string     `json:"to_owner" doc:"of the computer, without the fee"`

	// FormerOwners had the computer before. Total has what they earned, the
	// three beside it do not.
	FormerOwners []OwnerShare `json:"former_owners,omitempty"`

	// Host is who has the instance inside which a shared one is. Total has what
	// it earned, the three others do not.
	Host *HostShare `json:"host,omitempty"`

	ToRelease string `json:"to_publisher"`
	ToMesh    string `json:"to_mesh" doc:"the fee, of what the owner would get"`
	Used      Used   `json:"used"`
	Verdict   string `json:"verdict" doc:"of the payer: accepted, disputed or empty"`
	Note      string `json:"note"`

	// Through is nil while nothing was said.
	Through *time.Time `json:"reviewed_through,omitempty" doc:"the verdict is about the usage up to here"`

	// Reviews are all of the payer's, the last, which is the one above, last.
	Reviews []Review `json:"reviews,omitempty"`
}

// A HostShare is what somebody has earned for a place inside an instance.
type HostShare struct {
	Account string `json:"account" doc:"whose instance the host is"`
	ToHost  string `json:"to_host" doc:"without the fee"`
	ToMesh  string `json:"to_mesh" doc:"the fee"`
}

// A Review is what a payer says of a period of a bill.
type Review struct {
	Verdict string    `json:"verdict" enum:"accepted,disputed"`
	From    time.Time `json:"from" doc:"the usage from here on is meant"`
	Through time.Time `json:"through" doc:"up to here"`
	Note    string    `json:"note"`
	At      time.Time `json:"at" doc:"when it was said"`
}

// Used is how much was used of all that can have a price.
type Used struct {
	Core      float64           `json:"core_seconds"`
	Memory    float64           `json:"memory_gib_hours"`
	Disk      float64           `json:"disk_gib_hours"`
	Network   uint64            `json:"network_bytes"`
	Partition float64           `json:"partition_hours"`
	Requests  uint64            `json:"requests" doc:"instances that were asked for"`
	Metrics   map[string]uint64 `json:"metrics,omitempty"`
}

// A PaymentInput moves money.
type PaymentInput struct {
	ID   string `json:"id" minLength:"1" maxLength:"128" doc:"chosen by who pays, so that asking twice pays once"`
	From string `json:"from,omitempty" maxLength:"64" doc:"the caller's account if empty; @mint makes credits, for operators"`
	To   string `json:"to" minLength:"1" maxLength:"64"`
	Sum  string `json:"sum" maxLength:"19" pattern:"^[0-9]{1,12}([.][0-9]{1,6})?$" patternDescription:"a decimal number of credits with at most 6 decimals, such as 12.50"`
	Note string `json:"note,omitempty" maxLength:"1024"`
}

// A LimitInput says what an account may spend.
type LimitInput struct {
	Account string  `json:"account" minLength:"1" maxLength:"64"`
	Limit   *string `json:"limit" maxLength:"19" pattern:"^[0-9]{1,12}([.][0-9]{1,6})?$" patternDescription:"a decimal number of credits with at most 6 decimals, such as 12.50" doc:"how far the balance may go below zero; null for no limit"`
}

// A ReviewInput says what a payer thinks of a bill.
type ReviewInput struct {
	Account   string    `json:"account,omitempty" maxLength:"64"`
	Reference string    `json:"reference" minLength:"1" maxLength:"128" doc:"of the instance"`
	Verdict   string    `json:"verdict" enum:"accepted,disputed"`
	From      time.Time `json:"from,omitzero" doc:"the usage from here on is meant; from the beginning if missing"`
	Through   time.Time `json:"through,omitzero" doc:"the usage up to here is meant; all that is billed if missing"`
	Note      string    `json:"note,omitempty" maxLength:"1024"`
}

// Terms are what the mesh agrees on about money.
type Terms struct {
	Fee     string `json:"fee_percent" required:"false" maxLength:"8" pattern:"^([0-9]{1,3}([.][0-9]{1,4})?)?$" patternDescription:"a percentage with at most 4 decimals, such as 2.5" doc:"of what owners of computers earn, with up to four decimals"`
	Grace   string `json:"grace" required:"false" maxLength:"32" doc:"how long who has spent too much may go on, such as 24h"`
	Reserve string `json:"reserve" required:"false" maxLength:"32" doc:"for how long a request sets aside what it costs at least, such as 1h"`
}
