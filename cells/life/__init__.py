"""How a cell comes to be in a cloud, and how it goes."""
