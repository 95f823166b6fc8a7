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

.PHONY: help setup build demo demo-train workshop learn test test-pure test-cuda test-nvrtc lint fuzz bench bench-setup golden clean FORCE

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
CARD_SECONDS ?= 570

# It needs libc alone: it may be built here and run on a machine with a card.
$(CUDA_TEST): FORCE
	@CGO_ENABLED=1 go test -c -o $(CUDA_TEST) ./models/engine/cuda
FORCE:

test-cuda: $(CUDA_TEST) ## compiler, operators, goldens and the table of times on this machine's NVIDIA card (10 minutes)
	@bash models/engine/cuda/testdata/card.sh $(CARD_SECONDS)

# NVIDIA's compiler and libraries run without a card. They are no free software, so
# that neither setup nor test fetches them; Debian's packages are unpacked to a
# folder of their own, and nothing is installed. With CUDA_HEADERS=1 the headers
# come too, 16 MB of a package of 934.
TOOLKIT ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/v2v/toolkit
POOL := http://deb.debian.org/debian/pool/non-free/n
TOOLKIT_DEBS := \
	nvidia-cuda-toolkit/libnvrtc12_12.4.127~12.4.1-2_amd64.deb=db76acbd9ad53eae57291114b615ed21551592dee0b1160990a33066d86c251c \
	nvidia-cuda-toolkit/libnvrtc-builtins12.4_12.4.127~12.4.1-2_amd64.deb=c4f9ea43c3e176a9f46b50718d546adb0dc7344432cd7d8b1483692e0416d24c \
	nvidia-cuda-toolkit/nvidia-cuda-toolkit_12.4.131~12.4.1-2_amd64.deb=cd5fe85aee38d108b315f408a688641478f2402622a10c677478eb7a6c4e5319 \
	nvidia-cuda-toolkit/libcublaslt12_12.4.5.8~12.4.1-2_amd64.deb=2f67754a6dd7095de1a5c4503f20539981f31f0cd627565973c547e997fc7732 \
	nvidia-graphics-drivers/libcuda1_550.163.01-2_amd64.deb=8feff97aac61d6f27ded96a3c25b9e68025a680476e6072ff7eaf10623509135 \
	$(if $(CUDA_HEADERS),nvidia-cuda-toolkit/nvidia-cuda-dev_12.4.127~12.4.1-2_amd64.deb=d846838f914a0176948d48a8bcade5d6dbcccb5c9374343f6475f5503f173ee0)

test-nvrtc: ## have NVIDIA's compiler, libraries and headers judge the cuda device; no card needed (290 MB)
	@$(call install,curl)
	@mkdir -p $(TOOLKIT) && cd $(TOOLKIT) && for d in $(TOOLKIT_DEBS); do \
		path=$${d%=*}; name=$${path##*/}; [ -e "$$name.unpacked" ] && continue; \
		echo "fetching $$name"; \
		curl -fsSL -o "$$name" "$(POOL)/$$path" && echo "$${d##*=}  $$name" | sha256sum --quiet -c - || { rm -f "$$name"; exit 1; }; \
		case $$name in nvidia-cuda-dev_*) only=./usr/include;; *) only=.;; esac; \
		dpkg --fsys-tarfile "$$name" | tar x "$$only" && rm "$$name" && touch "$$name.unpacked" || exit 1; \
	done
	V2V_CUDA_TOOLKIT=$(TOOLKIT)/usr/lib/x86_64-linux-gnu $(TEST) -count=1 -v -run 'NVRTC|Resources|MachineCode|Genuine|NoCard|Toolkit' ./models/engine/cuda

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
