"""What a cell is in a cluster, object by object. Pure: equal cells give equal objects."""
