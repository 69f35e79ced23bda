"""Emulators of one frame interval: trained here, or brought along by the user."""
