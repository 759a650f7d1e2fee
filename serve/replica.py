"""The Ray Serve side: one replica of a served model, and the desk that all replicas share. Bound together by `app`."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from ray import serve

from lema_ray.engines import open_engine
from lema_ray.models import check_model
from lema_ray.self_correction.streams import Streaming, streamed
from lema_ray.self_correction.trained_verifier import TrainedVerifier
from serve.access_log import AccessLog
from serve.backend import Backend
from serve.config import ServeConfig
from serve.desk import Desk, LocalDesk, RemoteDesk, SharedDesk
from serve.errors import ApiError
from serve.gate import Gate
from serve.keys import KeyRing
from serve.openai_api import make_app
from serve.replica_metrics import own_metrics
from serve.service import Service

REPORT_EVERY_S = 5.0


class DeskDeployment(Desk):
    """The desk as a deployment: one, which Serve starts again when it dies."""


@serve.ingress()
class Replica:
    """The engine and the HTTP application in one process, so that a request takes one hop from the proxy."""

    async def __init__(self, raw: dict[str, Any], path: str, name: str, desk: Any = None) -> None:  # type: ignore[misc]
        config = ServeConfig.model_validate(raw)
        check_model(path)
        shared: SharedDesk = LocalDesk(_local_desk(config)) if desk is None else RemoteDesk(desk)
        self._backend: Backend = _open_backend(config, path, name)
        self._service = Service(
            config=config,
            backend=self._backend,
            desk=shared,
            keys=KeyRing(config.keys) if config.keys else None,
            access_log=AccessLog(config.access_log),
            advisers=await _open_advisers(config),
            verifier=_open_verifier(config.self_correction.verifier),
            replica=serve.get_replica_context().replica_id.unique_id,
        )
        await self._backend.start()
        self._service.ready = True
        self._reporting = asyncio.create_task(self._report()) if desk is not None else None

    def __serve_build_asgi_app__(self) -> Gate:
        """What Serve hands requests to."""
        return make_app(self._service)

    async def check_health(self) -> None:
        """Asked by Serve; a replica whose engine died is replaced."""
        await self._backend.check_health()

    async def _report(self) -> None:
        while True:
            # A desk that is being replaced gets the next report.
            with suppress(ApiError):
                await self._service.desk.report(self._service.replica, own_metrics())
            await asyncio.sleep(REPORT_EVERY_S)

    async def __del__(self) -> None:
        await self._backend.close()


def _local_desk(config: ServeConfig) -> Desk:
    return Desk(config.feedback.remembered if config.feedback else 0)


async def _open_advisers(config: ServeConfig) -> dict[str, Streaming]:
    """Other models that take part in corrections."""
    opened = {}
    for role in ("reviser", "adviser"):
        if spec := getattr(config.self_correction, role):
            engine = open_engine(spec)
            await engine.start()
            opened[role] = streamed(engine)
    return opened


def _open_verifier(folder: str | None) -> TrainedVerifier | None:
    return None if folder is None else TrainedVerifier(folder)


def _open_backend(config: ServeConfig, path: str, name: str) -> Backend:
    from serve.vllm_backend import VLLMBackend

    return VLLMBackend(config, path, name)
