module github.com/slapmesh/slapmesh

go 1.26.0

require (
	github.com/anishathalye/porcupine v1.3.1 // tests: histories are linearizable
	github.com/cockroachdb/pebble/v2 v2.1.7 // the journal on disk: ordered rows, appended faster than commands come
	github.com/creack/pty v1.1.24 // terminals for programs inside partitions
	github.com/danielgtaylor/huma/v2 v2.37.2 // REST with an OpenAPI document from Go types
	github.com/fxamacker/cbor/v2 v2.9.6 // one byte form of all that is logged, signed or hashed
	github.com/go-sql-driver/mysql v1.10.1 // tests: a client of MariaDB
	github.com/hashicorp/go-hclog v1.6.3 // raft's logger interface
	github.com/hashicorp/memberlist v0.7.0 // gossip: who is here
	github.com/hashicorp/raft v1.8.0 // consensus
	github.com/hashicorp/raft-boltdb/v2 v2.3.0 // logs of older versions; 2.3.1 would need a replace
	github.com/hashicorp/raft-wal v0.4.1 // raft's log: one sync an append; 0.4.2 needs an older go-metrics than raft
	github.com/huin/goupnp v1.3.1 // ports of home routers, by UPnP-IGD
	github.com/jackc/pgx/v5 v5.12.0 // tests: a client of PostgreSQL
	github.com/jackpal/go-nat-pmp v1.1.0 // the same by NAT-PMP
	github.com/prometheus/client_golang v1.24.1 // metrics that others scrape
	github.com/quic-go/quic-go v0.65.0 // streams and datagrams over one UDP socket; simnet in tests
	github.com/robfig/cron/v3 v3.0.1 // when jobs of profiles are due
	github.com/rogpeppe/go-internal v1.14.1 // tests: sessions of the command line
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3 // tests: what profiles declare is JSON Schema
	github.com/tidwall/btree v1.8.2 // ordered tables that copy in constant time
	github.com/urfave/cli/v2 v2.27.7 // flags of the command line
	go.etcd.io/bbolt v1.5.0 // options and errors of such a log
	go.starlark.net v0.0.0-20260908191801-89a6a09411d5 // profiles
	go.uber.org/goleak v1.3.0 // tests: nothing runs on after Close
	golang.org/x/mod v0.42.0 // the journal's Merkle tree (tlog) and signed checkpoints (note)
	golang.org/x/net v0.59.0 // packets read and sent in batches on the mesh's socket; multicast on the interface that is meant
	golang.org/x/sync v0.24.0 // groups of goroutines that fail together
	golang.org/x/sys v0.49.0 // system calls of the sandbox and the supervisor
	golang.org/x/term v0.47.0 // is there a terminal to draw progress on
	pgregory.net/rapid v1.3.0 // tests: properties
)

require (
	github.com/google/go-containerregistry v0.22.1 // images of registries, and a registry in tests
	github.com/klauspost/compress v1.20.3 // archives packed with gzip and zstd, faster than the standard library
	github.com/ulikunitz/xz v0.5.15 // archives packed with xz
)

require (
	filippo.io/edwards25519 v1.2.0 // indirect
	github.com/DataDog/zstd v1.5.7 // indirect
	github.com/RaduBerinde/axisds v0.1.0 // indirect
	github.com/RaduBerinde/btreemap v0.0.0-20250419174037-3d62b7205d54 // indirect
	github.com/armon/go-metrics v0.4.1 // indirect
	github.com/benbjohnson/immutable v0.4.0 // indirect
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/boltdb/bolt v1.3.1 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/cockroachdb/crlib v0.0.0-20241112164430-1264a2edc35b // indirect
	github.com/cockroachdb/errors v1.11.3 // indirect
	github.com/cockroachdb/logtags v0.0.0-20230118201751-21c54148d20b // indirect
	github.com/cockroachdb/redact v1.1.5 // indirect
	github.com/cockroachdb/swiss v0.0.0-20260820225851-333444432258 // indirect
	github.com/cockroachdb/tokenbucket v0.0.0-20230807174530-cc333fc44b06 // indirect
	github.com/coreos/etcd v3.3.27+incompatible // indirect
	github.com/coreos/go-systemd v0.0.0-20191104093116-d3cd4ed1dbcf // indirect
	github.com/coreos/pkg v0.0.0-20220810130054-c7d1c02cb6cf // indirect
	github.com/cpuguy83/go-md2man/v2 v2.0.7 // indirect
	github.com/docker/cli v29.7.2+incompatible // indirect
	github.com/docker/docker-credential-helpers v0.9.3 // indirect
	github.com/fatih/color v1.13.0 // indirect
	github.com/getsentry/sentry-go v0.27.0 // indirect
	github.com/gogo/protobuf v1.3.2 // indirect
	github.com/golang/snappy v0.0.5-0.20231225225746-43d5d4cd4e0e // indirect
	github.com/google/btree v1.1.3 // indirect
	github.com/hashicorp/errwrap v1.1.0 // indirect
	github.com/hashicorp/go-immutable-radix v1.3.1 // indirect
	github.com/hashicorp/go-metrics v0.7.0 // indirect
	github.com/hashicorp/go-msgpack/v2 v2.1.5 // indirect
	github.com/hashicorp/go-multierror v1.1.1 // indirect
	github.com/hashicorp/go-sockaddr v1.0.7 // indirect
	github.com/hashicorp/golang-lru v1.0.2 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/kr/pretty v0.3.1 // indirect
	github.com/kr/text v0.2.0 // indirect
	github.com/mattn/go-colorable v0.1.14 // indirect
	github.com/mattn/go-isatty v0.0.20 // indirect
	github.com/miekg/dns v1.1.73 // indirect
	github.com/minio/minlz v1.0.1-0.20250507153514-87eb42fe8882 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/opencontainers/go-digest v1.0.0 // indirect
	github.com/opencontainers/image-spec v1.1.1 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.71.0 // indirect
	github.com/prometheus/procfs v0.21.1 // indirect
	github.com/russross/blackfriday/v2 v2.1.0 // indirect
	github.com/sean-/seed v0.0.0-20170313163322-e2103e2c3529 // indirect
	github.com/sirupsen/logrus v1.9.4 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	github.com/xrash/smetrics v0.0.0-20240521201337-686a1a2994c1 // indirect
	golang.org/x/crypto v0.57.0 // indirect
	golang.org/x/exp v0.0.0-20230626212559-97b1e661b5df // indirect
	golang.org/x/text v0.42.0 // indirect
	golang.org/x/tools v0.51.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
	gotest.tools/v3 v3.5.2 // indirect
)
