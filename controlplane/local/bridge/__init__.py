"""A cell's bridge: lets other cells pull from its Temporal server, under names that differ.

The server of every cell of the embedded fleet calls itself `active`, which its command line does
not let us choose, and no server joins another of its own name. So a cell's peers know it by its
id, and reach it through its bridge, which translates. Nothing but the bridge knows of this.
"""
