"""What a training does per second, and where its time goes. `trainers` fills it; each log of the trainer reads it."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

PEAK_TFLOPS = {
    "B200": 2250, "GH200": 989, "H200": 989, "H100": 989, "H800": 989, "A100": 312, "A800": 312, "L40S": 362,
    "L40": 181, "L4": 121, "A10": 125, "4090": 165, "3090": 71, "V100": 125, "T4": 65,
}  # fmt: skip
"""Dense bf16 (fp16 where there is no bf16) of one GPU, from the makers' data sheets, by a part of its name."""


@dataclass
class Meter:
    """Sums since the last log. `slots` are the places of the batches, padding and all; seconds by phase."""

    flops_per_token: float = 0.0
    tokens: float = 0.0
    learned: float = 0.0
    slots: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)
    since: float = field(default_factory=time.monotonic)
    all_tokens: float = 0.0
    all_slots: float = 0.0

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Count the body's time to a phase."""
        start = time.monotonic()
        yield
        self.seconds[phase] = self.seconds.get(phase, 0.0) + time.monotonic() - start

    def count(self, tokens: float, learned: float, slots: float) -> None:
        """Add one batch of all workers."""
        self.tokens += tokens
        self.learned += learned
        self.slots += slots
        self.all_tokens += tokens
        self.all_slots += slots

    @property
    def padding(self) -> float:
        """The share of all places so far that held padding."""
        return 1 - self.all_tokens / self.all_slots if self.all_slots else 0.0

    def read(self, workers: int) -> dict[str, float]:
        """The rates since the last reading, which begin anew; times are shares of the time that passed."""
        passed = time.monotonic() - self.since
        found = {"learned_tokens_per_second": self.learned / passed, "tokens_per_second": self.tokens / passed}
        found |= {f"time_{phase}": seconds / passed for phase, seconds in self.seconds.items()}
        found |= {"memory_gb": memory_gb(), "workers": workers}
        if peak := peak_flops():
            found["mfu"] = self.tokens / passed * self.flops_per_token / (peak * workers)
        self.tokens = self.learned = self.slots = 0.0
        self.seconds, self.since = {}, time.monotonic()
        return {name: round(value, 4) for name, value in found.items()}


def memory_gb() -> float:
    """The most memory this worker has held: of its GPU where it has one, else of its process, in 10^9 bytes."""
    import torch

    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated()) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def peak_flops() -> float | None:
    """Operations per second that this worker's GPU could do at best; None without one or for one not in the list."""
    import torch

    if not torch.cuda.is_available():
        return None
    name = torch.cuda.get_device_name()
    return next((1e12 * tflops for part, tflops in PEAK_TFLOPS.items() if part in name), None)


def worker_memory(workers: int) -> tuple[float, float]:
    """Bytes of this worker's GPU (on the CPU: its share of the host's memory) and of its host."""
    import torch

    host = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    if torch.cuda.is_available():
        return float(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory), host
    return host / workers, host
