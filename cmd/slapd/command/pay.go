package command

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func payVerb() *verb {
	return &verb{
		name: "pay", args: "ACCOUNT SUM", min: 2, max: 2, brief: "move credits to another account, once",
		about: "A payment has an id, and each id pays once: after an error that leaves open whether it\n" +
			"was paid, ask again with the --id that was printed. Operators make credits by paying from " + protocol.MintAccount + ".",
		options: func() []cli.Flag {
			return []cli.Flag{
				&cli.StringFlag{Name: "from", Usage: "from `ACCOUNT`: a project of yours, or any for operators"},
				&cli.StringFlag{Name: "note", Usage: "`TEXT` that is kept with the payment"},
				&cli.StringFlag{Name: "id", Usage: "`ID` of the payment; a new one, if not given"},
			}
		},
		examples: []string{"slapd pay bob 12.50", "slapd pay bob 12.50 --note 'October' --id october-bob", "slapd pay ann 1000 --from " + protocol.MintAccount},
		run: func(ctx context.Context, i *invocation) error {
			in := protocol.PaymentInput{
				ID: i.String("id"), From: i.String("from"), To: i.args[0], Sum: i.args[1], Note: i.String("note"),
			}
			if !i.IsSet("id") {
				in.ID = strings.ToLower(rand.Text())
			}
			if err := wrong(in.Check()); err != nil {
				return err
			}
			service, err := i.service()
			if err != nil {
				return err
			}
			s, err := service.Pay(ctx, in)
			if err != nil {
				return unpaid(ctx, in, err)
			}
			s = s.Filled()
			return i.show(payment{in.ID, s}, func(w io.Writer) {
				fmt.Fprintf(w, "paid %s to %s: payment %s\n", in.Sum, printable(in.To), printable(in.ID))
				i.printWallet(w, s)
			})
		},
	}
}

// A payment is what is printed of one: its id, and what the payer has then.
type payment struct {
	ID string `json:"id"`
	protocol.Statement
}

// unpaid adds to an error that leaves open whether it was paid how to ask again
// without paying twice.
func unpaid(ctx context.Context, in protocol.PaymentInput, err error) error {
	switch code := protocol.CodeOf(err); {
	case code != "" && code != protocol.ErrUnavailable:
		return err // refused
	case ctx.Err() != nil:
		return &exitError{exitFailed, "interrupted; " + again(in)}
	}
	return fmt.Errorf("%w; %s", err, again(in))
}

func again(in protocol.PaymentInput) string {
	words := []string{"slapd", "pay", in.To, in.Sum, "--id", in.ID}
	if in.From != "" {
		words = append(words, "--from", in.From)
	}
	if in.Note != "" {
		words = append(words, "--note", in.Note)
	}
	for n, word := range words {
		words[n] = quoted(word)
	}
	return "to ask again without paying twice, type: " + strings.Join(words, " ")
}

// quoted is a word as a shell reads it.
func quoted(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("@%+=:,./_-", r)
	}
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool { return !plain(r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
