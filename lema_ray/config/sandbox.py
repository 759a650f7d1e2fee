"""What a program under test may use: `grading.sandbox`, and the sandbox of recipes that run programs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lema_ray.config.section import Section


class SandboxConfig(Section):
    """Bounds on one run of one program. They hold inside the sandbox; see docs/architecture.md for its limits."""

    isolation: Literal["required", "limits_only"] = Field(
        "required",
        description="refuse where the machine permits no namespaces; limits_only: run all the same, with the network "
        "and your files in reach, for machines that are thrown away afterwards",
    )
    call_s: float = Field(2.0, gt=0, description="seconds of CPU for loading the program, and for each call")
    wall_s: float = Field(20.0, gt=0, description="seconds for everything together, after which all is killed")
    memory_mb: int = Field(512, ge=64, description="address space of each process")
    processes: int = Field(4, ge=1, description="processes and threads at once")
    disk_mb: int = Field(8, ge=1, description="what it may write, all files together")
    output_kb: int = Field(256, ge=1, description="what its results may come to")
