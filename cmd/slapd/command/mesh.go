package command

import (
	"context"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func meshVerb() *verb {
	return &verb{
		name: "mesh", brief: "how others come in, and the key that signs certificates",
		examples: []string{"slapd mesh admission approval", "slapd mesh rotate-ca"},
		subs:     []*verb{admissionVerb(), rotateVerb()},
	}
}

func admissionVerb() *verb {
	return &verb{
		name: "admission", args: "approval|tokens", min: 1, max: 1, brief: "let strangers ask to join, or only those with a token",
		about: "Operators only. With approval, whoever knows the mesh's fingerprint may ask: \"slapd join\n" +
			"HOST:PORT#FINGERPRINT\" waits there until \"slapd members approve\" or \"refuse\". Tokens\n" +
			"admit as before, without asking.",
		examples: []string{"slapd mesh admission approval", "slapd mesh admission tokens"},
		run: func(ctx context.Context, i *invocation) error {
			how := i.args[0]
			if how != "approval" && how != "tokens" {
				return usagef("%s: approval or tokens", how)
			}
			service, err := i.service()
			if err != nil {
				return err
			}
			a, err := service.SetAdmission(ctx, protocol.AdmissionInput{Ask: how == "approval"})
			if err != nil {
				return err
			}
			return i.show(a, func(w io.Writer) {
				if !a.Ask {
					fmt.Fprintln(w, "only tokens admit")
					return
				}
				fmt.Fprintf(w, "strangers may ask; on the next computer, type:\n\n    %s\n\nand then, here: slapd members pending\n", a.Join)
			})
		},
	}
}

func rotateVerb() *verb {
	return &verb{
		name: "rotate-ca", brief: "replace the key that signs certificates, while the mesh runs",
		about: "Operators only; do it when a voter was removed or lost, for it knew the key. Members get\n" +
			"new certificates by themselves within seconds, those that are off when they come back.\n" +
			"Certificates of members, tokens and fingerprints of the former CA count for the time of\n" +
			"grace; after it, tokens and fingerprints that were handed out must be made anew. The id\n" +
			"of the mesh stays.",
		options: func() []cli.Flag {
			return []cli.Flag{&cli.StringFlag{Name: "grace", Usage: "`TIME` for which what the former CA signed counts, such as 1h or 7d, at most 30d", Value: "7d"}}
		},
		examples: []string{"slapd mesh rotate-ca", "slapd mesh rotate-ca --grace 1h"},
		run: func(ctx context.Context, i *invocation) error {
			service, err := i.service()
			if err != nil {
				return err
			}
			r, err := service.RotateCA(ctx, protocol.RotationInput{Grace: i.String("grace")})
			if err != nil {
				return err
			}
			return i.show(r, func(w io.Writer) {
				fmt.Fprintf(w, "new CA; voters that hold its key: %d; its fingerprint is %s\nwhat the former one signed counts until %s\n", r.Holders, r.Fingerprint, r.Until.Local().Format("2006-01-02 15:04"))
			})
		},
	}
}
