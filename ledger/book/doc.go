// Package book is the arithmetic of money: amounts, prices, and entries that
// sum to zero. It is pure and knows nothing of instances or peers.
//
// Money is an [Amount], a whole number of micro-credits. A price is a set of
// [Rates]; [Rates.Cost] applies it to [Quantities] with 128-bit intermediates
// and carries what is less than a micro-credit to the next time, so that a bill
// does not depend on how often it was drawn up. A [PriceList] knows which rates
// were in force when, and never changes the past. A [Transfer] moves money
// between accounts: what one loses another gains.
//
// Nothing here wraps around: what does not fit is an [ErrRange].
package book
