"""`lema serve` and `lema keys`: a trained model as an endpoint, and who may use it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lema_ray.cli.app import app

keys_app = typer.Typer(no_args_is_help=True, help="API keys of a served model: added, listed, revoked.")
app.add_typer(keys_app, name="keys")
KeysFile = Annotated[Path, typer.Option(help="the keys file")]


@app.command()
def serve(
    models: Annotated[list[str], typer.Argument(help="run folder, model directory, hub id or built-in name; several")],
    arm: Annotated[list[str] | None, typer.Option(help="of a run folder: trained models to serve; several")] = None,
    host: Annotated[str, typer.Option(help="other than loopback only with --api-keys")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    api_keys: Annotated[Path | None, typer.Option(help="file that `lema keys` makes")] = None,
    policy: Annotated[str, typer.Option(help="self-correction of requests that do not choose")] = "off",
    haproxy: Annotated[
        bool | None, typer.Option(help="in front; --no-haproxy: Ray Serve's own proxy. Default: where it can be")
    ] = None,
    replicas: Annotated[int, typer.Option(min=1)] = 1,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="any other key, as caps.output_tokens=256; several")
    ] = None,
    ray_address: Annotated[str | None, typer.Option(help="a running cluster; default: RAY_ADDRESS, else here")] = None,
) -> None:
    """Serve a model as an OpenAI-compatible endpoint that can correct itself; docs/serving.md."""
    from serve.haproxy import haproxy_can_be_in_front, put_haproxy_in_front

    if haproxy_can_be_in_front(ray_address, host) if haproxy is None else haproxy:
        put_haproxy_in_front(ray_address)
    from serve import start as serving

    shared: dict[str, Any] = {"replicas": replicas, "self_correction": {"default": policy}}
    shared |= {"keys": str(api_keys.absolute())} if api_keys else {}
    applications = serving.applications(models, arm or [], shared, settings or [])
    try:
        url = serving.start(applications, host, port, ray_address)
        for prefix in applications:
            print(f"ready: {url}{prefix.rstrip('/')}/v1", flush=True)
        serving.wait_for_signal()
    finally:
        serving.stop()


@keys_app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="whose key it is")],
    file: KeysFile = Path("keys.yaml"),
    requests_per_minute: Annotated[int | None, typer.Option(min=1)] = None,
    tokens_per_minute: Annotated[int | None, typer.Option(min=1)] = None,
    concurrency: Annotated[int | None, typer.Option(min=1)] = None,
) -> None:
    """Make a key. It is printed once and stored as a hash."""
    from serve.config import KeyLimits
    from serve.keys import add_key

    limits = KeyLimits(
        requests_per_minute=requests_per_minute, tokens_per_minute=tokens_per_minute, concurrency=concurrency
    )
    print(add_key(file, name, limits))


@keys_app.command("list")
def list_(file: KeysFile = Path("keys.yaml")) -> None:
    """The names of all keys, when they were made, and their own limits."""
    from serve.keys import read_keys

    for key in read_keys(file):
        limits = key.model_dump(exclude_none=True, exclude={"name", "sha256", "created"})
        print(f"{key.name}  {key.created}  {limits or ''}".rstrip())


@keys_app.command("revoke")
def revoke(name: str, file: KeysFile = Path("keys.yaml")) -> None:
    """Take a key away; servers refuse it within seconds."""
    from serve.keys import revoke_key

    revoke_key(file, name)
