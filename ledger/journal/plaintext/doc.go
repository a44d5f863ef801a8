// Package plaintext writes the journal as text that other programs read.
//
// [Write] takes entries as [journal.Journal.Entries] gives them and writes one
// [Format]: [JSON] and [CSV] for programs and spreadsheets, [Ledger] for
// ledger and hledger, [Beancount] for beancount. It reads and writes as it
// goes: what it holds are the accounts that it has seen, never the entries.
//
// # What it promises
//
// Sums are exact: six decimals, a micro-credit being the sixth. A transaction
// that is written balances; an entry that does not is an error, as is one out
// of order. What is written depends on nothing but what is given. Different
// accounts have different names in every format ([Format.Account]), whatever
// characters they are made of.
//
// # Elsewhere
//
// Proving that entries are those of the mesh is package journal's business
// ([journal.VerifyExport]): what is written here proves nothing.
package plaintext
