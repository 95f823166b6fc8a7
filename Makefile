# v2v: `make demo` and `make test` set a fresh Debian 12 machine with Go up by themselves.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# What a build needs (gcc for cgo, OpenCV for gocv, oneDNN), what running needs
# (ffmpeg), and the clips that demo and tests take.
APT := build-essential pkg-config ca-certificates git libopencv-dev libdnnl-dev ffmpeg opencv-doc
# What tests compare with.
APT_TEST := python3-torch python3-numpy python3-protobuf clang libffmpeg-nvenc-dev
# What `make bench` measures against.
APT_BENCH := $(APT_TEST) $(if $(shell command -v npm),,nodejs npm)
CLIPS := /usr/share/doc/opencv-doc/examples/data
BIN := bin/v2v
DEMO := demo
WORKSHOP := workshop
LEARN := learn
PEERS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/v2v/peers
TESTFLAGS ?=
# Go's ten minutes for a package are short for cmd/v2v on two cores that others use too.
TEST := go test -timeout 20m $(TESTFLAGS)
# Test binaries run side by side: let OpenMP's idle threads sleep (cmd/v2v/spin.go).
export GOMP_SPINCOUNT ?= 2000

.PHONY: help setup build demo demo-train workshop learn test test-pure test-cuda lint fuzz bench bench-setup golden clean

help: ## print this
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what is missing (apt, Go modules); asks nothing
	@$(call install,$(APT))
	@go mod download

# install: apt packages of a list that are not there yet.
define install
missing=$$(for p in $(1); do dpkg-query -W -f='$${db:Status-Status}\n' $$p 2>/dev/null | grep -qx installed || echo $$p; done); \
if [ -n "$$missing" ]; then \
	echo "installing" $$missing; \
	sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	$$sudo apt-get update -qq && \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
fi
endef

build: setup ## build bin/v2v
	@go build -o $(BIN) ./cmd/v2v

demo: build ## convert a real clip that training never saw, and a batch of three
	@bash models/zoo/demo.sh $(BIN) $(CLIPS) $(DEMO)

demo-train: build ## train the shipped model again from nothing (10 minutes on 2 cores)
	@bash models/zoo/train.sh $(BIN) $(CLIPS) $(DEMO)

workshop: build ## pictures with and without a GAN, side by side (some 5 minutes on 2 cores)
	@bash models/zoo/workshop.sh $(BIN) $(CLIPS) $(WORKSHOP)

learn: build ## what memory buys: vid2vid against per-frame pix2pix (65 minutes on 2 cores)
	@bash models/zoo/learn.sh $(BIN) $(CLIPS) $(LEARN)

test: setup lint ## run all tests, the build without cgo included
	@$(call install,$(APT_TEST))
	$(TEST) ./...
	@$(MAKE) --no-print-directory test-pure

test-pure: ## build and test without cgo: contracts, graph, ref device, command line
	CGO_ENABLED=0 go build -o /dev/null ./cmd/v2v
	CGO_ENABLED=0 $(TEST) ./...

CUDA_TEST := bin/cuda.test

test-cuda: ## run operators, goldens and benchmarks on this machine's NVIDIA card
	@CGO_ENABLED=1 go test -c -o $(CUDA_TEST) ./models/engine/cuda
	@cd models/engine/cuda && V2V_CUDA_TEST=card ../../../$(CUDA_TEST) -test.run 'Operators|TensorCores|Step|FewLaunches|Golden|Table'
	@python3 -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null && \
		python3 models/engine/cuda/testdata/composite_cuda.py || echo "no PyTorch with CUDA here to compare with"

lint: ## gofmt, vet, the house's rules
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "not gofmt clean:"; echo "$$out"; exit 1; }
	go vet ./...

fuzz: ## fuzz every parser for half a minute each
	@for p in $$(go list ./...); do \
		for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz' || true); do go test -run '^$$' -fuzz "^$$f$$" -fuzztime 30s $$p || exit 1; done; \
	done

bench-setup: setup
	@$(call install,$(APT_BENCH))
	@mkdir -p $(PEERS) && cd $(PEERS) && [ -d node_modules/onnxruntime-node ] || npm install --silent --no-fund --no-audit --ignore-scripts onnxruntime-node

bench: build bench-setup ## measure against PyTorch and ONNX Runtime, one table
	@env -u GOMP_SPINCOUNT PEERS=$(PEERS) bash models/engine/enginetest/peers/bench.sh $(BIN)

golden: ## make the tests' golden files again (needs python3-torch)
	@$(call install,$(APT_BENCH))
	/usr/bin/python3 models/testdata/golden.py
	/usr/bin/python3 models/op/testdata/golden.py

clean: ## remove what was built and shown
	rm -rf bin $(DEMO) $(WORKSHOP) $(LEARN)
