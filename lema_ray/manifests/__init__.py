"""A run's config as a kustomize folder for KubeRay: how large each group of pods may grow, and the config itself."""

from lema_ray.manifests.folder import OVERLAYS, write_manifests

__all__ = ["OVERLAYS", "write_manifests"]
