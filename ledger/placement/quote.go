package placement

// MaxRunnersUp is how many computers a quote names besides the choice.
const MaxRunnersUp = 5

// A Quote says where an instance would be, and what that costs.
type Quote struct {
	Reference string
	Choice    Offer
	RunnersUp []Offer // what would be chosen without those before, the best first
}

// An Offer is a computer that fits a want.
type Offer struct {
	Computer string
	Name     string
	Price    int64 // micro-credits per hour
}

// Quote returns what Choose would choose now, and the next best, or the same
// [*Refusal].
func (x *Index) Quote(w Want) (Quote, error) {
	found := x.best(&w, 1+MaxRunnersUp)
	if len(found) == 0 {
		return Quote{}, x.explain(&w)
	}
	offers := make([]Offer, len(found))
	for n, e := range found {
		offers[n] = Offer{e.ID, e.Name, e.Price(&w)}
	}
	return Quote{w.Reference, offers[0], offers[1:]}, nil
}
