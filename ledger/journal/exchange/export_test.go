package exchange

import "context"

// Round compares once, as Run does, and returns what would end it.
func (x *Exchange) Round(ctx context.Context) error { return x.outvoted(x.Compare(ctx)) }
