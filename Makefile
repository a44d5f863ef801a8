# Each target is one line you could have typed. `make` runs what CI runs.

.PHONY: check test demo build nat bench scale faults growth homes fmt golden fixture cover
check:  ; .ci/run
test:   ; .ci/setup test && .ci/test
demo:   build ; .ci/setup demo && bin/slapd demo
build:  ; CGO_ENABLED=0 go build -trimpath -ldflags=-s -o bin/slapd ./cmd/slapd
nat:    ; SLAPMESH_NAT=all go test -run 'TestNAT$$' -v -timeout 20m ./mesh
bench:  build ; .ci/bench/run
scale:  build ; .ci/bench/run -only scale -peers $(or $(PEERS),30)
faults: ; FAULTS=all go test -run TestFaults -v ./partition/store
growth: ; SIM_PEERS=30,100,300,1000 go test -timeout 20m -run TestGrowth -v ./mesh/tiers
homes:  ; HOMES_MINUTES=30 go test -timeout 20m -run TestMostlyHomes -v ./mesh
fmt:    ; go tool -modfile=.ci/tools.mod gofumpt -w . && go mod tidy
golden: ; GOLDEN=write go test ./...
fixture: ; go test ./ledger -run TestMakeFixture -fixture
cover:  ; go test -coverprofile=cover.out ./... && go tool cover -func=cover.out
