"""Programs that try to break out, wear the machine down or fake success: each is tried against the real sandbox."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lema_ray.config import SandboxConfig
from lema_ray.sandbox import Ran, SandboxUnavailable, check_sandbox, run_program
from lema_ray.sandbox.command import environment, sandboxed

STRICT = SandboxConfig(call_s=1.0, wall_s=30, memory_mb=256, processes=4, disk_mb=4, output_kb=64)


@pytest.fixture(scope="module", autouse=True)
def isolated() -> None:
    """These programs are hostile: without isolation they are not run at all."""
    try:
        check_sandbox(STRICT)
    except SandboxUnavailable as error:
        pytest.skip(f"this machine permits no isolation: {error}")


def run(program: str, *calls: str, config: SandboxConfig = STRICT) -> Ran:
    return run_program(program, calls, config)


def values(ran: Ran) -> list[str]:
    return [result.text if result.kind == "value" else f"<{result.text or result.kind}>" for result in ran.results]


def test_values_come_back_as_plain_text_and_errors_by_name() -> None:
    program = "from collections import Counter\ndef f(x): return Counter(x)\ndef g(): return frozenset({1})"
    ran = run(program, "f('aab')", "f(None)", "g()", "f(1)", "1 / 0", "syntax error")
    assert ran.ending == "finished" and ran.loaded is not None and ran.loaded.kind == "value"
    assert values(ran) == ["{'a': 2, 'b': 1}", "{}", "{1}", "<TypeError>", "<ZeroDivisionError>", "<SyntaxError>"]


def test_an_endless_call_costs_only_itself() -> None:
    assert values(run("def f(n):\n while n: pass\n return n", "f(0)", "f(1)", "f(0)")) == ["0", "<timeout>", "0"]


def test_an_endless_program_is_out_of_time_when_it_is_loaded() -> None:
    ran = run("while True: pass", "1")
    assert ran.loaded is not None and ran.loaded.kind == "timeout" and ran.results == ()


def test_what_refuses_to_stop_is_killed() -> None:
    stubborn = "import signal\ndef f():\n signal.setitimer(signal.ITIMER_PROF, 0)\n while True: pass"
    ran = run(stubborn, "f()", config=STRICT.model_copy(update={"wall_s": 3.0}))
    assert ran.ending in ("stalled", "killed") and ran.results == ()


def test_a_fork_bomb_is_limited_and_nothing_of_it_survives() -> None:
    bomb = (
        "import os, time\n"
        "def f():\n"
        " made = 0\n"
        " for _ in range(1000):\n"
        "  try:\n"
        "   if os.fork() == 0:\n"
        "    os.setsid(); time.sleep(600)\n"
        "   made += 1\n"
        "  except OSError: return made, os.getuid()"
    )
    (text,) = values(run(bomb, "f()"))
    made, owner = eval(text)
    assert 0 < made < STRICT.processes
    if os.geteuid() == 0:  # each program is a user of its own then, so that we can tell whose processes they are
        assert owner != 0 and _processes_of(owner) == []


def _processes_of(user: int) -> list[str]:
    return [p.name for p in Path("/proc").iterdir() if p.name.isdigit() and p.exists() and p.stat().st_uid == user]


def test_memory_is_limited() -> None:
    assert values(run("def f(): return len(bytearray(10**9))", "f()", "1 + 1")) == ["<MemoryError>", "2"]


def test_a_crash_is_no_result_and_no_success() -> None:
    ran = run("import ctypes\ndef f(): ctypes.string_at(0)", "f()", "1")
    assert ran.ending == "killed" and ran.results == ()


def test_writing_is_bounded_and_only_in_its_own_folder(tmp_path: Path) -> None:
    program = (
        "def big():\n"
        " with open('a', 'wb') as f:\n"
        "  for _ in range(10_000): f.write(bytes(2**20))\n"
        "def many():\n"
        " for n in range(10_000): open(f'n{n}', 'wb').write(bytes(2**12))\n"
        "def write(path): open(path, 'w').write('x')\n"
        "def small(): write('b'); return open('b').read()"
    )
    outside = [f"write({path!r})" for path in (str(tmp_path / "x"), "/tmp/x", "/x", f"{sys.base_prefix}/lib/x")]
    ran = run(program, "small()", "big()", "many()", *outside)
    assert values(ran)[0] == "'x'" and all(result.kind == "error" for result in ran.results[1:])
    assert len(ran.results) == 3 + len(outside) and not (tmp_path / "x").exists()


def test_there_is_no_network() -> None:
    program = (
        "import socket\n"
        "def out(): socket.create_connection(('1.1.1.1', 53), timeout=5)\n"
        "def here(port): socket.create_connection(('127.0.0.1', port), timeout=5)\n"
        "def names(): return [name for _, name in socket.if_nameindex()]"
    )
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()  # it is there, for us
        found = values(run(program, "out()", f"here({port})", "names()"))
    assert found[:2] == ["<OSError>", "<OSError>"] and found[2] == "['lo']"


def test_neither_secrets_nor_files_nor_processes_of_the_parent_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    program = "import os\ndef listed(path): return sorted(os.listdir(path))"
    calls = [
        "str(dict(__import__('os').environ))",
        "listed('/')",
        "listed('/proc')",
        "listed('/box')",
        "listed('/home')",
    ]
    ran = run(program, *calls, f"open({str(Path(__file__))!r}).read()", f"open('/proc/{os.getpid()}/environ').read()")
    found = values(ran)
    assert "secret" not in "".join(found) and str(Path.cwd()) not in found[0]
    assert set(eval(found[1])) <= {"box", "lib", "lib64", "usr", "root", "home", "opt", Path(sys.base_prefix).parts[1]}
    assert found[3] == "[]" and {found[n] for n in (2, 5, 6)} == {"<FileNotFoundError>"}


def test_the_parent_cannot_be_killed_and_open_files_are_not_inherited() -> None:
    program = (
        "import os, signal\n"
        "def kill(pid): os.kill(pid, signal.SIGKILL)\n"
        "def opened():\n"
        " found = []\n"
        " for n in range(3, 32):\n"
        "  try: os.fstat(n); found.append(n)\n"
        "  except OSError: pass\n"
        " return len(found)"
    )
    with Path(__file__).open() as held:
        os.set_inheritable(held.fileno(), True)
        found = values(run(program, f"kill({os.getpid()})", "kill(1)", "opened()"))
    assert found[0] in ("<ProcessLookupError>", "<PermissionError>")
    assert found[1] in ("<PermissionError>", "None")  # process 1 of its own namespace, at most
    assert found[2] == "1"  # where its results go


def test_privileges_are_gone_and_do_not_come_back() -> None:
    program = (
        "import os, ctypes\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "def become(): os.setuid(0 if os.getuid() else 1); return True\n"
        "def mount(): return libc.mount(b'x', b'/box', b'tmpfs', 0, None)\n"
        "def user_namespace(): return libc.unshare(0x10000000)\n"
        "def chroot(): os.chroot('/box')"
    )
    found = values(run(program, "become()", "mount()", "user_namespace()", "chroot()"))
    assert found == ["<PermissionError>", "-1", "-1", "<PermissionError>"]


def test_printing_does_not_matter_and_flooding_the_results_ends_it() -> None:
    printing = "import sys\ndef f():\n for _ in range(20_000): print('x' * 100); sys.stderr.write('y' * 100)\n return 1"
    assert values(run(printing, "f()", config=STRICT.model_copy(update={"call_s": 10.0}))) == ["1"]
    flooding = "import os\ndef f():\n while True: os.write(3, b'x' * 60_000)"
    ran = run(flooding, "f()")
    assert ran.ending == "too_much_output" and ran.results == ()


@pytest.mark.parametrize("leave", ["os._exit(0)", "sys.exit(0)", "os.kill(os.getpid(), 9)", "raise SystemExit"])
def test_leaving_early_is_no_success(leave: str) -> None:
    ran = run(f"import os, sys\ndef f(): {leave}", "f()", "2")
    assert not any(result.kind == "value" and result.text != "2" for result in ran.results)
    assert ran.ending in ("exited", "killed") or values(ran) == ["<SystemExit>", "2"]


def test_a_machine_without_the_tools_is_told_and_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda tool: None)
    with pytest.raises(SandboxUnavailable, match=r"unshare.*util-linux"):
        sandboxed(STRICT, "/nowhere", "")


def test_a_machine_that_forbids_namespaces_is_told_and_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "unshare"
    fake.write_text("#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(
        "lema_ray.sandbox.running.environment", lambda: {**environment(), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(SandboxUnavailable, match=r"Operation not permitted.*limits_only"):
        run("x = 1", "x", config=STRICT.model_copy(update={"wall_s": 29.0}))


def test_limits_alone_are_there_when_they_are_asked_for() -> None:
    config = STRICT.model_copy(update={"isolation": "limits_only", "processes": 4096})
    ran = run("def f(): return len(bytearray(10**9))", "6 * 7", "f()", config=config)
    assert values(ran) == ["42", "<MemoryError>"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_it_works_for_somebody_without_privileges(tmp_path: Path) -> None:
    if subprocess.run(["setpriv", "--reuid=12345", "unshare", "--user", "true"], capture_output=True).returncode:
        pytest.skip("this machine permits no unprivileged user namespaces")
    script = (
        "import os, sys; sys.executable = '/usr/bin/python3'; sys.base_prefix = '/usr'; os.setgroups([]);"
        "os.environ.pop('TMPDIR', None); os.setgid(12345); os.setuid(12345);"
        "from lema_ray.sandbox.running import run_program;"
        "from lema_ray.config.sandbox import SandboxConfig;"
        "print(run_program('import os', ['6 * 7', 'os.listdir(\"/home\")', 'os.fork()'], SandboxConfig(processes=1)))"
    )
    if not Path("/usr/bin/python3").exists():
        pytest.skip("there is no /usr/bin/python3, and root's own Python cannot be seen by others")
    # Everything is imported before the change of user, since others may not see this interpreter's files.
    early = "import lema_ray.sandbox.running, tempfile, subprocess, json, select; "
    done = subprocess.run([sys.executable, "-c", early + script], capture_output=True, text=True, timeout=60)
    assert "text='42'" in done.stdout and "FileNotFoundError" in done.stdout, done.stderr
    assert "BlockingIOError" in done.stdout  # its own limit on processes, though others run as the same user
