"""The words everything is said in: errors, hashing, row types, typed parameters, text for people.

Nothing here knows of a project on disk, of git, of a model or of a stage.
"""
