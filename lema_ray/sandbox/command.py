"""The command line that starts an interpreter in a sandbox, made of util-linux's tools. Used by `running`.

New network, process, mount, IPC and host name namespaces; a root of its own that holds the interpreter and its
libraries, read-only, and one small folder in memory; no privileges, and as root's child a user id that nobody else has.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from math import ceil
from pathlib import Path

from lema_ray.config.sandbox import SandboxConfig
from lema_ray.errors import LemaError

TOOLS = ("unshare", "mount", "setpriv", "prlimit", "chroot", "sh")
FOLDER = "/box"
MEGABYTE = 2**20
_STARTED = itertools.count()

# The shell stays as process 1 of its namespace: when it ends or is killed, the kernel ends everything in there. The
# program may not be that process, since changing its user id would undo that it dies with its parent.
_BUILD_ROOT = """\
set -e
root=$1 owner=$2 disk=$3; shift 3
mount -t tmpfs -o size=1m,mode=755,nosuid,nodev lema "$root"
while [ "$1" != -- ]; do
    if [ -d "$1" ]; then mkdir -p "$root$1"; else mkdir -p "$root${1%/*}"; : > "$root$1"; fi
    mount --bind "$1" "$root$1"
    mount -o remount,bind,ro,nosuid,nodev "$root$1"
    shift
done
shift
mkdir "$root/box"
mount -t tmpfs -o "size=${disk}m,nr_inodes=256,mode=700,uid=$owner,gid=$owner,nosuid,nodev" lema "$root/box"
mount -o remount,bind,ro,nosuid,nodev "$root"
set +e
"$@"
exit $?
"""


class SandboxUnavailable(LemaError):
    """This machine cannot isolate programs; the message says what is missing and what can be done."""


def sandboxed(config: SandboxConfig, root: str, source: str) -> list[str]:
    """The command that runs Python `source` in a sandbox whose root is mounted on the empty folder `root`."""
    python = os.path.realpath(sys.executable)
    interpreter = [python, "-I", "-S", "-B", "-X", "utf8", "-c", source]
    if config.isolation == "limits_only":
        return [*_limits(config), *interpreter]
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        raise SandboxUnavailable(f"sandbox: {', '.join(missing)} not found; programs need Linux with util-linux")
    rooted = os.geteuid() == 0
    owner = str(_own_id() if rooted else 0)  # 0 in a user namespace is the caller, without rights outside it
    space = [] if rooted else ["--user", "--map-root-user"]
    become = [f"--reuid={owner}", f"--regid={owner}", "--clear-groups"] if rooted else []
    setpriv = os.path.realpath(shutil.which("setpriv") or "setpriv")
    return [
        *("unshare", *space, "--net", "--pid", "--mount", "--ipc", "--uts", "--fork", "--kill-child"),
        *("sh", "-c", _BUILD_ROOT, "sandbox", root, owner, str(config.disk_mb), *_visible(python, setpriv), "--"),
        *(*_limits(config), "chroot", root),
        *(setpriv, *become, "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"),
        *interpreter,
    ]


def environment() -> dict[str, str]:
    """All that the program sees of the environment."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LD_LIBRARY_PATH": f"{sys.base_prefix}/lib",
        "LANG": "C.UTF-8",
    }


def _visible(*files: str) -> list[str]:
    folders = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", f"{sys.base_prefix}/lib"]
    return [path for path in dict.fromkeys([*folders, *files]) if Path(path).exists()]


def _limits(config: SandboxConfig) -> list[str]:
    return [
        "prlimit",
        f"--as={config.memory_mb * MEGABYTE}",
        f"--cpu={ceil(config.wall_s)}",
        f"--fsize={config.disk_mb * MEGABYTE}",
        f"--nproc={config.processes}",
        *("--nofile=32", "--core=0", "--msgqueue=0", "--memlock=0"),
    ]


def _own_id() -> int:
    """A user id for one program, so that the limit on processes counts its own and it can signal no others."""
    return 2**30 + (os.getpid() * 64 + next(_STARTED) % 64) % 2**29
