"""Questions that people ask of a project: where a row came from, what was lost, is it sound, does it repeat."""
