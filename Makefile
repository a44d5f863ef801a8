# Each target is one line you could have typed. `make` runs what CI runs.

.PHONY: check test demo build cross nat bench scale faults growth homes fmt golden fixture cover
check:  ; .ci/run
test:   ; .ci/setup test && .ci/test
demo:   build ; .ci/setup demo && bin/slapd demo
cross:  ; for t in linux/arm64 darwin/amd64 darwin/arm64 freebsd/amd64 freebsd/arm64 windows/amd64 windows/arm64; do CGO_ENABLED=0 GOOS=$${t%/*} GOARCH=$${t#*/} go build -trimpath -ldflags=-s -o bin/$$t/ ./cmd/slapd || exit 1; done
build:  ; CGO_ENABLED=0 go build -trimpath -ldflags=-s -o bin/slapd ./cmd/slapd
nat:    ; SLAPMESH_NAT=all go test -run 'TestNAT$$' -v -timeout 20m ./mesh
bench:  build ; .ci/bench/run
scale:  build ; .ci/bench/run -only scale -peers $(or $(PEERS),30)
faults: ; FAULTS=all go test -run TestFaults -v ./partition/store
growth: ; SIM_PEERS=$${SIM_PEERS:-30,100,300,1000} go test -timeout 40m -run TestGrowth -v ./mesh/tiers
homes:  ; HOMES_MINUTES=30 go test -timeout 20m -run TestMostlyHomes -v ./mesh
fmt:    ; go tool -modfile=.ci/tools.mod gofumpt -w . && go mod tidy
golden: ; GOLDEN=write go test ./...
fixture: ; go test ./ledger -run TestMakeFixture -fixture
cover:  ; go test -coverprofile=cover.out ./... && go tool cover -func=cover.out
