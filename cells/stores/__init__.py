"""What a cell keeps: its databases, their roles, and the secrets its services are started with."""
