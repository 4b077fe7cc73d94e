"""`controlplane rollout`, assembled."""

from controlplane.cli.command import group
from controlplane.cli.rollout import cell_controls, controls, policy, show, start, watch

app = group("Bring releases to the fleet, ring by ring, and watch and steer that.")
for part in (start, show, watch, controls, cell_controls, policy):
    app.add_typer(part.app)
