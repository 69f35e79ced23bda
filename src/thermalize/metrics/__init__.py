"""What is measured on a rollout: spectra, distributions, stability, dynamics and health, with intervals and floors."""
