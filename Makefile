# Each target makes its own virtual environment in .venv; PYTHON chooses the interpreter.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check
LOCK := $(if $(shell command -v flock),flock $(VENV).lock)
DEMO := demo-output

.PHONY: demo web test fetched torch containers cluster environments lint docs wheel versions bench bench-short bench-nightly conformance fuzz attack degenerate soak web-soak clean

demo: $(VENV)/embedded
	@mkdir -p $(DEMO)
	$(RUN) -m graph_server assets --clip
	$(LOCK) $(RUN) client/client.py --input_stream "$$($(RUN) -m graph_server assets --clip | tail -n 1)" \
	    --output_stream $(DEMO)/demo.mp4 --labels_output $(DEMO)/labels.jsonl
	@echo "video:  $(CURDIR)/$(DEMO)/demo.mp4"
	@echo "labels: $(CURDIR)/$(DEMO)/labels.jsonl"

# The web application; Ctrl-C ends it.
web: $(VENV)/web
	$(RUN) client/client.py web

# In three processes, on two cores too, since many tests wait for what they test; those of a file stay together, in the
# order of tests/conftest.py. A crash of one ends the run: pytest-xdist may wait for ever for what a replaced process had
# done (its issue 1378).
test: fetched
	$(RUN) -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

# What tests fetch is fetched here, since the environments of `versions` have no pip.
fetched: $(VENV)/dev
	$(RUN) -m graph_server assets --clip
	$(RUN) -m tests.support.face_detector

# PyTorch, which the tests of `distill` need: it is not in `dev`, since its usual build takes gigabytes. This version has
# a build for CPUs, which pip takes where it finds one.
torch: $(VENV)/torch

# Servers of others, for the tests marked `environment`; a test never makes one.
environments: $(patsubst tests/environments/%.txt,.venvs/%/ready,$(wildcard tests/environments/*.txt))

.venvs/%/ready: tests/environments/%.txt | $(VENV)/dev
	$(VENV)/bin/uv venv --quiet --clear --python $(PYTHON) $(@D)
	$(VENV)/bin/uv pip install --quiet --python $(@D)/bin/python --requirement $<
	@touch $@

# The images of docker/, built and run by Debian's podman (see .ci/run); needs root.
containers: fetched
	$(RUN) -m pytest -m containers tests/containers

# Fleets and batches on Ray clusters of this machine, whose nodes are killed. Takes minutes, so it is not part of CI.
cluster: fetched
	$(RUN) -m pytest -m cluster tests/client/fleet/cluster

# Every rule of the wire against our own server, or against OVMS_ADDRESS=host:9000.
conformance: $(VENV)/dev
	$(RUN) -m pytest tests/conformance

# 100,000 mutated requests and 200 connections that break off; 100,000 mutated answers to the client.
fuzz: $(VENV)/dev
	$(RUN) -m tests.fuzz
	$(RUN) -m tests.fuzz.answers

# What hostile clients and servers do, and what it costs at most.
attack: $(VENV)/dev
	$(RUN) tools/attack.py

# 1,000 degenerate frames through every shipped graph.
degenerate: $(VENV)/dev
	$(RUN) -m tests.degenerate_frames

lint: $(VENV)/dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# The site, in docs-output; a broken link or reference is an error.
docs: $(VENV)/dev
	$(VENV)/bin/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going docs docs-output
	@echo "site: $(CURDIR)/docs-output/index.html"

# The wheel, installed without this checkout, on every Python of this machine that counts.
wheel: $(VENV)/dev
	$(RUN) -m tools.check_wheel

# Tests of the client with the lowest versions in pyproject.toml, and with the oldest and the newest Python that is here.
versions: fetched
	$(RUN) -m tools.check_versions

# One table of all ratios, and a line more in benchmarks/history.jsonl. Alone on two cores a quarter of an hour,
# two minutes, or more than an hour.
bench bench-short bench-nightly: $(VENV)/dev environments
	$(RUN) -m graph_server assets --clip
	$(RUN) benchmarks/bench.py --size $(or $(patsubst bench-%,%,$(filter bench-%,$@)),full)

# Fifteen minutes of relaying with cuts; needs GStreamer's RTSP server (see .ci/run). Not part of CI.
soak: $(VENV)/dev
	$(RUN) -m tests.soak

# Many browsers, and many tabs opened and closed; needs Chromium. Not part of CI.
web-soak: $(VENV)/dev
	$(RUN) -m tests.web_soak

# The marker files say which extras are installed and from which pyproject.toml. Two targets may be made at once in one
# checkout: the second waits for the first, also for the demo's outputs. An environment that was left half made has no
# pip.
INSTALL = $(PIP)
# uv takes a tenth of pip's time for the two gigabytes of `dev`.
$(VENV)/dev: INSTALL = $(PIP) uv; $(VENV)/bin/uv pip install --quiet --python $(RUN)
$(VENV)/dev $(VENV)/embedded $(VENV)/web: $(VENV)/%: pyproject.toml hatch_build.py $(wildcard protos/*.proto)
	$(LOCK) sh -ec 'if [ ! -e $@ ] || [ -n "$$(find $^ -newer $@)" ]; then \
	    $(RUN) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV); \
	    $(INSTALL) --editable ".[$*]"; touch $@; fi'

$(VENV)/torch: $(VENV)/dev
	$(LOCK) sh -ec '$(PIP) torch==2.13.0 --editable ".[distill]"; touch $@'

clean:
	rm -rf $(VENV) $(VENV).lock $(DEMO) docs-output
