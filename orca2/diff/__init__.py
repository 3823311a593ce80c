"""What changed between two revisions of an artifact, and why."""
