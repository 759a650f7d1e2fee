# Four verbs; each sets up its own environment first (scripts/setup.sh; under a second when it is there).
.PHONY: demo test test-fast check bench setup lock

PYTEST = .venv/bin/python -m pytest
LIGHT = not ray and not vllm and not train and not serve and not browser
BENCHMARKS = help grading policy_stream sampling limiter corrector_requests scale evaluation_memory serving

demo: setup  ## the whole flow for real, on this machine, with nothing but this repository
	.venv/bin/python jobs/run.py --config jobs/configs/demo.yaml

test: setup  ## everything that can run on this machine
	$(PYTEST) -m "$(LIGHT)" -n 2 --dist loadfile
	$(PYTEST) -m "not ($(LIGHT))"

test-fast: setup  ## what needs no cluster, no engine and no training, in two processes
	$(PYTEST) -m "$(LIGHT)" -n 2 --dist loadfile

check: setup  ## format, lint, types, import rules
	.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/mypy && .venv/bin/lint-imports

bench: setup  ## the figures of docs/performance.md that need no run of their own
	for name in $(BENCHMARKS); do .venv/bin/python benchmarks/$$name.py || exit 1; done

setup:
	@scripts/setup.sh

lock: setup  ## write down everything that is installed, after a change of versions.txt
	.venv/bin/uv pip freeze --python .venv/bin/python --exclude-editable | sed 's/ @ .*//' > versions-cpu.lock
