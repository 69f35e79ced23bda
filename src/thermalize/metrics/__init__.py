"""What is measured on a rollout: spectra, distributions, stability, dynamics and health, with intervals and floors."""

from thermalize.metrics.dataset import diagnose

__all__ = ["diagnose"]
