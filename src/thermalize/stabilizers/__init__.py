"""Ways to keep a rollout on the attractor, one file each, behind one protocol."""
