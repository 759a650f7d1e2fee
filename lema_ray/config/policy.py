"""How a model corrects itself: the settings of a policy, from a config or from a request over HTTP."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from lema_ray.config.section import Section

PolicyName = Literal["off", "spontaneous", "revise", "critique", "verify", "vote"]


class Policy(Section):
    """One policy and its bounds. A bare name is short for a policy with all else as it is by default."""

    model_config = ConfigDict(populate_by_name=True)

    policy: PolicyName = "off"
    max_revisions: int = Field(1, ge=0, le=8)
    max_tokens: int | None = Field(
        None, gt=0, description="new tokens of all drafts and critiques of an answer together"
    )
    timeout_s: float | None = Field(None, gt=0, description="for the whole answer")
    threshold: float | None = Field(
        None, ge=0, le=1, description="verify: revise from this probability of being wrong on; default: the verifier's"
    )
    samples: int = Field(5, ge=2, le=64, description="vote: solutions that are compared")
    gate: Literal["judged", "always"] = Field("judged", description="critique: revise what it calls wrong, or all")
    returns: Literal["final", "full"] = Field("final", alias="return", description="the solution, or the whole story")

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, given: Any) -> Any:
        return {"policy": given} if isinstance(given, str | bool) else given

    @field_validator("policy", mode="before")
    @classmethod
    def _off_is_a_word(cls, given: Any) -> Any:
        # YAML reads a bare `off` as false.
        return "off" if given is False else given


class EvaluatedPolicy(Policy):
    """A policy in evaluation, where the reference is known."""

    oracle: bool = Field(
        False, description="critique, verify: revise what the reference says is wrong (an upper bound)"
    )
    verifier: str | None = Field(
        None, description="verify: folder of a verifier (`lema train-verifier`); default: the model is asked itself"
    )
