package daemon

import (
	"cmp"
	"context"
	"os"
	"strings"

	"github.com/slapmesh/slapmesh/partition"
	"github.com/slapmesh/slapmesh/partition/build"
	"github.com/slapmesh/slapmesh/partition/sandbox"
	"github.com/slapmesh/slapmesh/partition/store"
)

// openHost makes this computer ready for partitions: it finds out which walls
// it can build, and opens the store of releases.
func (d *Daemon) openHost(ctx context.Context) (*partition.Computer, error) {
	walls, err := sandbox.Open(ctx, sandbox.Config{Binary: d.cfg.Binary})
	if err != nil {
		return nil, err
	}
	grade, why := walls.Grade()
	d.grade = string(grade)
	switch grade {
	case sandbox.GradeIsolated:
		d.gradeReason = ""
	case sandbox.GradePlain:
		d.gradeReason = "Partitions of this computer are plain processes: " + why + "."
	case sandbox.GradeSandbox:
		d.gradeReason = "Strangers' instances are not placed on this computer: " + why + "."
	}
	kept, err := store.Open(d.folder.file("store"))
	if err != nil {
		return nil, err
	}
	d.trees = &trees{Daemon: d, store: kept}
	d.trees.builder, err = build.Open(build.Config{
		Store:     kept,
		Dir:       cmp.Or(d.cfg.Cache, d.folder.file("build")),
		Environ:   passedOnToBuilds(),
		NPM:       cmp.Or(os.Getenv("NPM_CONFIG_REGISTRY"), os.Getenv("npm_config_registry")),
		Clock:     d.cfg.Clock,
		Signer:    &build.Signer{Name: string(d.mesh.Self()), Key: d.identity.PublicKey(), Sign: d.signs},
		Elsewhere: d.trees,
		Never:     d.settings.NoBuild != nil && *d.settings.NoBuild,
		Private:   d.settings.PrivateSources != nil && *d.settings.PrivateSources,
		Log:       d.log.With("part", "builds"),
	})
	if err != nil {
		return nil, err
	}
	return &partition.Computer{
		Dir: d.folder.path, Walls: walls, Store: kept, Builder: d.trees.builder, Log: d.log.With("part", "partitions"),
		Taster: d.taster, Egress: d.letsOut(walls),
	}, nil
}

// letsOut says whether instances may have a way out to the Internet.
func (d *Daemon) letsOut(walls *sandbox.Host) bool {
	if d.settings.Egress == nil || !*d.settings.Egress {
		return false
	}
	if err := walls.WayOut(); err != nil && walls.OwnNetwork() {
		d.log.Warn("instances cannot be let out to the Internet", "err", err)
		return true // whose release asks for it is told why
	}
	d.egress = true
	return true
}

// passedOnToBuilds is what of this program's environment says how to reach what
// releases are made of.
func passedOnToBuilds() []string {
	var out []string
	for _, name := range []string{"GOPROXY", "GONOPROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"} {
		for _, name := range []string{name, strings.ToLower(name)} {
			if value, ok := os.LookupEnv(name); ok {
				out = append(out, name+"="+value)
			}
		}
	}
	return out
}
