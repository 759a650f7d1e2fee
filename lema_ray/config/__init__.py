"""The one typed config, a section per stage; unknown keys are refused with the nearest right one.

Every stage is handed its section and nothing more.
"""

from lema_ray.config.collect import (
    AnalysisConfig,
    CorrectorConfig,
    GradingConfig,
    ImportConfig,
    JudgeConfig,
    QuestionsConfig,
    RecipeConfig,
    SourceConfig,
    StudentConfig,
)
from lema_ray.config.engines import (
    ActorsConfig,
    BatchConfig,
    EndpointConfig,
    EngineSpec,
    ErrorAwareConfig,
    LimitsConfig,
    OpenAISpec,
    PriceConfig,
    SamplingConfig,
    ScriptedSpec,
    VLLMSpec,
)
from lema_ray.config.load import load_config, parse_config
from lema_ray.config.models import (
    ArmConfig,
    BuildConfig,
    CotSource,
    DpoSettings,
    EvaluateConfig,
    EvaluationSampling,
    LoraSettings,
    Objective,
    RowSource,
    TrainConfig,
)
from lema_ray.config.policy import EvaluatedPolicy, Policy, PolicyName
from lema_ray.config.rounds import round_configs
from lema_ray.config.run import BudgetConfig, RayConfig, RoundsConfig, RunConfig, Trained
from lema_ray.config.sandbox import SandboxConfig
from lema_ray.config.section import ConfigError, Section
from lema_ray.config.variants import VariantsConfig
from lema_ray.config.verifier import VerifierConfig

__all__ = [
    "ActorsConfig",
    "AnalysisConfig",
    "ArmConfig",
    "BatchConfig",
    "BudgetConfig",
    "BuildConfig",
    "ConfigError",
    "CorrectorConfig",
    "CotSource",
    "DpoSettings",
    "EndpointConfig",
    "EngineSpec",
    "ErrorAwareConfig",
    "EvaluateConfig",
    "EvaluatedPolicy",
    "EvaluationSampling",
    "GradingConfig",
    "ImportConfig",
    "JudgeConfig",
    "LimitsConfig",
    "LoraSettings",
    "Objective",
    "OpenAISpec",
    "Policy",
    "PolicyName",
    "PriceConfig",
    "QuestionsConfig",
    "RayConfig",
    "RecipeConfig",
    "RoundsConfig",
    "RowSource",
    "RunConfig",
    "SamplingConfig",
    "SandboxConfig",
    "ScriptedSpec",
    "Section",
    "SourceConfig",
    "StudentConfig",
    "TrainConfig",
    "Trained",
    "VLLMSpec",
    "VariantsConfig",
    "VerifierConfig",
    "load_config",
    "parse_config",
    "round_configs",
]
