"""`controlplane namespace`, assembled."""

from controlplane.cli.command import group
from controlplane.cli.namespace import (
    apply,
    certificates,
    create,
    diff,
    failover,
    migrate,
    regions,
    show,
    tags,
    update,
)

app = group("Create, change, inspect and delete namespaces.")
for part in (create, apply, update, show, diff, failover):
    app.add_typer(part.app)
app.add_typer(regions.app, name="region")
app.add_typer(migrate.app, name="migrate")
app.add_typer(tags.app, name="tags")
app.add_typer(update.search_attributes, name="search-attribute")
app.add_typer(certificates.ca, name="ca")
app.add_typer(certificates.app, name="cert")
