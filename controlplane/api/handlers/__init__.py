"""The RPCs of the Cloud Ops API, one class per resource; whatever carries them, they are these."""
