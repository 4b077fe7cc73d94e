"""`controlplane evacuation`, assembled. `controlplane cell evacuate|drain|drill` begin one."""

from controlplane.cli.command import group
from controlplane.cli.evacuation import controls, show

app = group("Follow and steer the emptying of cells (see `controlplane cell evacuate`).")
for part in (show, controls):
    app.add_typer(part.app)
