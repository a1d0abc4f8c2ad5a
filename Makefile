# RS Text Search: everything a developer or a curious geographer runs. `make help` explains itself.
SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PLUGIN   := rs_text_search_plugin
PYTHON   := .venv/bin/python
QGIS_PY  := .venv-qgis/bin/python
# The system's Python where it is new enough, else the first on PATH.
BASE_PY  := $(shell for p in /usr/bin/python3 python3; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VERSION  := $(shell sed -n 's/^version=//p' metadata.txt)
ZIP      := dist/$(PLUGIN)-$(VERSION).zip
SUDO     := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
APT      := qgis python3-qgis python3-venv xvfb xauth xdotool imagemagick gdal-bin
PROFILE  ?= build/profile
# A machine without an NVIDIA driver gets torch's CPU build (200 MB instead of several GB).
TORCH_INDEX := $(shell command -v nvidia-smi >/dev/null || echo --index-url https://download.pytorch.org/whl/cpu)
TORCH    := $(shell grep -o '^torch==[0-9.]*' resources/torch-requirements.txt)
# Where PyTorch's index cannot be reached, PyPI's build with CUDA comes instead (3 GB).
torch     = $(if $(TORCH_INDEX),$(PYTHON) -m $(1) --retries 0 $(TORCH_INDEX) $(TORCH) ||) $(PYTHON) -m $(1) --require-hashes -r resources/torch-requirements.txt
WHEELS   ?= dist/wheels
COMPILE  := build/tools/bin/uv pip compile -q pyproject.toml build/pip.in --extra cpu --extra languages --universal --python-version 3.11 --overrides build/overrides.txt --no-header --no-annotate
# pip's warnings about an index that cannot be reached or does not know a package are no news.
QUIETLY  := 2> >(grep -v -e '^WARNING: Retrying' -e 'is ignored: it is neither' >&2)
# The rules that block a plugin on plugins.qgis.org: what its scan enables, less two that bandit no longer has.
BANDIT_RULES := B101,B102,B103,B104,B105,B106,B107,B108,B110,B112,B113,B201,B202,B301,B302,B303,B304,B305,B306,B307,B308,B310,B311,B312,B313,B314,B315,B316,B317,B318,B319,B321,B323,B324,B401,B402,B403,B405,B406,B407,B408,B409,B412,B413,B501,B502,B503,B504,B505,B506,B507,B508,B509,B601,B602,B603,B604,B605,B606,B607,B608,B609,B610,B611,B612,B613,B614,B615,B701,B702,B703,B704

.PHONY: help setup demo qgis test test-engine test-plugin test-e2e test-matrix check bench package lock wheels docs deploy clean

help:  ## show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

setup: .venv/.ready  ## build the engine's environment at .venv (its bin/rs-text-search is the command line)

demo: .venv/.ready build/.system  ## the main job: draw a scene, index it, search, describe, export, render a map (RASTER=my.tif TEXT="boats")
	@$(PYTHON) -m tests.demo.demo $(if $(RASTER),--raster "$(RASTER)") $(if $(TEXT),--text "$(TEXT)")

qgis: deploy .venv/.ready build/.system  ## open QGIS desktop with the plugin enabled and the demo scene loaded
	@$(PYTHON) -m tests.demo.demo --scene-only
	@qgis --profiles-path $(abspath $(PROFILE)) --profile test --nologo --noversioncheck build/demo/scene.tif

test: test-engine test-plugin test-e2e  ## run every test: engine and models, QGIS side offscreen, a real QGIS under Xvfb
	@echo "lines covered: engine $$($(call covered,engine,$(PLUGIN)/engine/*)) %, models $$($(call covered,engine,models/*)) %, plugin $$($(call covered,plugin,$(PLUGIN)/*)) %"

covered = $(PYTHON) -m coverage report --data-file=build/coverage-$(1) --include='$(2)' $(if $(filter plugin,$(1)),--omit='$(PLUGIN)/engine/*') --format=total

test-engine: .venv/.ready
	@COVERAGE_FILE=build/coverage-engine $(PYTHON) -m pytest --cov --cov-report= tests/contracts tests/engine tests/models tests/bench tests/test_project.py

test-plugin: .venv/.ready .venv-qgis/.ready
	@COVERAGE_FILE=build/coverage-plugin QT_QPA_PLATFORM=offscreen $(QGIS_PY) -m pytest --cov --cov-report= tests/plugin tests/test_imports.py

test-e2e: .venv/.ready build/.system
	@$(PYTHON) -m pytest tests/e2e

test-matrix:  ## the plugin's tests in QGIS of Debian 12, 13 and 13 backports, in chroots (root; RELEASES="bookworm trixie trixie-backports")
	@$(SUDO) .ci/test-matrix $(RELEASES)

check: .venv/.ready  ## ruff, mypy, and the plugin site's security scan
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m tests.e2e.profile build/typed >/dev/null  # the layout in which models/ is a part of the package
	@cd build/typed/profiles/test/python/plugins && MYPYPATH=.:$(CURDIR)/tests/stubs $(CURDIR)/$(PYTHON) -m mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/build/typed/mypy -p $(PLUGIN)
	@$(PYTHON) -m bandit -q -r $(PLUGIN) models resources -t $(BANDIT_RULES)
	@$(PYTHON) -m detect_secrets scan $(PLUGIN) models resources | $(PYTHON) -c "import json,sys; r=json.load(sys.stdin)['results']; sys.exit('possible secrets: '+json.dumps(r, indent=1) if r else 0)"
	@echo "check: clean"

bench: .venv/.ready  ## measure reading, indexing, memory and query latency (ratios; prints tables)
	@for b in reading indexing memory query; do echo "== $$b"; $(PYTHON) -m tests.bench.$$b; done

package: .venv/.ready  ## write dist/*.zip, the plugin as QGIS installs it, default model inside
	@rm -rf build/package build/lib && mkdir -p build/package dist
	@$(PYTHON) -m pip wheel -qq --no-deps --no-build-isolation -w build/package .
	@cd build/package && ../../$(PYTHON) -m zipfile -e *.whl . && rm -rf *.whl *.dist-info && find . -name __pycache__ -exec rm -r {} +
	@cp metadata.txt LICENSE CHANGELOG.md build/package/$(PLUGIN)/
	@rm -f $(ZIP) && cd build/package && ../../$(PYTHON) -m zipfile -c ../../$(ZIP) $(PLUGIN)
	@size=$$(stat -c %s $(ZIP)); echo "$(ZIP): $$size bytes of at most 25,000,000"; [ $$size -le 25000000 ]
	@! grep -n 'example\.org' metadata.txt || echo "Reminder: set these addresses in metadata.txt before publication."

lock: .venv/.ready build/tools/bin/uv  ## lock the engine's packages by hash, for every system and Python offered (UPGRADE=1: to the newest)
	@cat resources/*-requirements.txt > build/lock.txt
	@echo 'openvino-telemetry ; python_version < "3"' > build/overrides.txt  # it reports to OpenVINO's makers
	@echo pip > build/pip.in
	@$(COMPILE) --generate-hashes $(if $(UPGRADE),--upgrade) -o build/lock.txt >/dev/null
	@grep -v '^ ' build/lock.txt | sed 's/ *\\$$//' > build/pins.txt
	@$(COMPILE) -c build/pins.txt --format pylock.toml -o build/pylock.toml >/dev/null
	@awk -v torch=resources/torch-requirements.txt -v pip=resources/pip-requirements.txt -v rest=resources/engine-requirements.txt ' \
	  BEGIN { print "# Written by make lock: torch with CUDA for Linux, as PyPI has it." > torch; \
	    print "# Written by make lock: the pip that installs the others." > pip; \
	    print "# Written by make lock: all that the engine needs, but torch. Complete: install with --no-deps." > rest } \
	  /^[a-z]/ { out = /^pip==/ ? pip : /^(torch|triton|nvidia-|cuda-)/ ? torch : rest } { print > out }' build/lock.txt
	@printf 'pytest-qgis\npytest-qt\nwheel\n' > build/dev.in
	@$(COMPILE) build/dev.in --extra dev --extra train -c build/pins.txt -o build/dev.txt >/dev/null
	@{ echo "# Written by make lock: versions of what only developers install."; grep -v -x -F -f build/pins.txt build/dev.txt; } > tests/constraints.txt
	@$(PYTHON) -m tests.bench.wheels

wheels: .venv/.ready  ## fill WHEELS=dist/wheels with all packages, for a computer without a network that has the same system and Python
	@mkdir -p $(WHEELS)
	@$(PYTHON) -m pip download -q -d $(WHEELS) --only-binary :all: --no-deps --require-hashes -r resources/pip-requirements.txt -r resources/engine-requirements.txt $(QUIETLY)
	@{ $(call torch,pip download -q -d $(WHEELS) --only-binary :all: --no-deps); } $(QUIETLY)
	@echo "$(WHEELS): $$(ls $(WHEELS) | wc -l) wheels, $$(du -sm $(WHEELS) | cut -f1) MB. In QGIS: Engine > Install from a folder of wheels"

docs: .venv/.ready build/tools/bin/mkdocs  ## build the documentation site into build/docs (open build/docs/index.html)
	@rm -rf build/site-source && mkdir -p build/site-source/models
	@cp -r docs README.md CONTRIBUTING.md SECURITY.md CHANGELOG.md LICENSE build/site-source && cp -r models/cards build/site-source/models
	@{ echo "# Command line"; for c in $$(.venv/bin/rs-text-search --help | sed -n "s,^    \([a-z]*\)  .*,\1,p"); do \
	  printf '\n## %s\n```\n' $$c; COLUMNS=110 .venv/bin/rs-text-search $$c --help; echo '```'; done; } > build/site-source/docs/command-line.md
	@NO_MKDOCS_2_WARNING=1 build/tools/bin/mkdocs build -q --strict -f docs/mkdocs.yml
	@echo "build/docs/index.html"

deploy: build/.system .venv/.ready  ## link the plugin into a QGIS profile of its own (PROFILE=build/profile)
	@$(PYTHON) -m tests.e2e.profile $(PROFILE)

clean:  ## remove everything that was built, the environments too
	rm -rf build dist .venv .venv-qgis *.egg-info .pytest_cache .mypy_cache .ruff_cache

# ---- what the targets above stand on ----
.venv/.ready: pyproject.toml resources/engine-requirements.txt resources/torch-requirements.txt | build/.python
	@echo "Setting up the engine's environment in .venv (once; a few minutes)"
	@$(PYTHON) -c 'import struct' 2>/dev/null || $(BASE_PY) -m venv --clear .venv  # one of before is only brought up to date
	@$(PYTHON) -m pip install -q --require-hashes -r resources/pip-requirements.txt $(QUIETLY)
	@$(PYTHON) -m pip install -q --require-hashes --no-deps -r resources/engine-requirements.txt $(QUIETLY)
	@{ $(call torch,pip install -q --no-deps); } $(QUIETLY)
	@$(PYTHON) -m pip install -q -c tests/constraints.txt wheel $(QUIETLY)
	@$(PYTHON) -m pip install -q -c tests/constraints.txt --no-build-isolation -e '.[dev]' $(QUIETLY)
	@touch $@

.venv-qgis/.ready: build/.system
	@/usr/bin/python3 -m venv --system-site-packages .venv-qgis
	@$(QGIS_PY) -m pip install -q -c tests/constraints.txt pytest pytest-qgis pytest-qt pytest-timeout pytest-cov $(QUIETLY)
	@touch $@

build/tools/bin/uv: | build/.python
	@$(BASE_PY) -m venv build/tools
	@build/tools/bin/python -m pip install -q uv==0.13.9 $(QUIETLY)

build/tools/bin/mkdocs: build/tools/bin/uv
	@build/tools/bin/uv pip install -q --python build/tools/bin/python mkdocs-material==9.8.2

build/.python:
	@[ -n "$(BASE_PY)" ] || { echo "Python 3.11 or newer is needed as python3."; exit 1; }
	@$(BASE_PY) -c 'import ensurepip, venv' 2>/dev/null || { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq python3-venv; }
	@mkdir -p build && touch $@

build/.system:
	@missing=$$(for p in $(APT); do dpkg -s $$p >/dev/null 2>&1 || echo $$p; done); \
	if [ -n "$$missing" ]; then echo "Installing with apt: "$$missing; \
	  $(SUDO) apt-get update -qq; \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi
	@mkdir -p build && touch $@
