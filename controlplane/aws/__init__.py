"""What every adapter of an AWS service stands on: identities, calls, and errors told plainly."""
