#!/usr/bin/env bash
# Makes .venv with the tested version set. `make demo` and `make test` call it; a second run only compares a hash.
#   - versions.txt says which versions go together and why; versions-cpu.lock holds everything that was installed with them
#   - a machine with an NVIDIA GPU gets the GPU build, any other the CPU build (LEMA_BUILD=cpu|gpu decides by hand)
#   - packages come from wherever this machine's pip is told to find them: its settings are handed on to uv
set -euo pipefail
cd "$(dirname "$0")/.."

build=${LEMA_BUILD:-$(nvidia-smi -L >/dev/null 2>&1 && echo gpu || echo cpu)}
python=${PYTHON:-$(command -v python3.11 || command -v python3)}
stamp=.venv/.ready
want=$(cat versions.txt versions-cpu.lock pyproject.toml scripts/setup.sh <(echo "$build $python $PWD") | sha256sum | cut -c1-32)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ] && exit 0

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; found $("$python" --version). Set PYTHON=/path/to/python3.11." >&2; exit 1; }
echo "setting up .venv ($build build, $("$python" --version)) ..." >&2
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet "uv>=0.9" 2>&1 | { grep -v '^WARNING: Location' || true; } >&2

# pip's settings (file and environment) as uv options; pip looks at all indexes alike, and so shall uv.
setting() { .venv/bin/python -m pip config list 2>/dev/null | sed -nE "s/^[^=]*\.$1='(.*)'\$/\1/p" | tail -n 1; }
options=(--index-strategy unsafe-best-match)
index=$(setting index-url); [ -z "$index" ] || options+=(--default-index "$index")
for url in $(setting extra-index-url); do options+=(--index "$url"); done
links=$(setting find-links); for place in $links; do options+=(--find-links "$place"); done

extras=$build,${LEMA_EXTRAS:-train,serve,demo,dev}   # an image leaves out dev
constraints=(--constraint versions.txt)
if [ "$build" = cpu ]; then
  constraints+=(--constraint versions-cpu.lock)
  # The plain torch wheel brings gigabytes of CUDA. Where no local wheel of the CPU build is offered, uv knows its index.
  for place in $links; do ls "$place"/torch-*+cpu-*.whl >/dev/null 2>&1 && local_torch=yes; done
  [ -n "${local_torch:-}" ] || options+=(--torch-backend cpu)
fi

# vLLM asks for these; text needs none of them, and one that does not match torch breaks `import transformers`.
overrides=$(mktemp); trap 'rm -f "$overrides"' EXIT
printf "%s ; sys_platform == 'never'\n" torchvision torchaudio torchcodec >"$overrides"

export UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-300}
.venv/bin/uv pip install --quiet --python .venv/bin/python "${options[@]}" "${constraints[@]}" --override "$overrides" --editable ".[$extras]"

if [ "$build" = cpu ]; then
  .venv/bin/python -c 'import torch, sys; sys.exit(f"a CUDA build of torch was installed: {torch.__version__}" if torch.version.cuda else 0)'
fi
echo "$want" >"$stamp"
