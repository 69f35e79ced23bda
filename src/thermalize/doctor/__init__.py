"""What this machine has, and which configurations it can run: `thermalize doctor`."""

from __future__ import annotations

from thermalize.doctor.fit import Fit, fit
from thermalize.doctor.machine import Machine, look
from thermalize.doctor.page import page

__all__ = ["Fit", "Machine", "fit", "look", "page"]
