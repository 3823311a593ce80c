"""The project on disk, at any revision: its artifacts, shards, pipeline, git, metrics.

What a row means is the recipe's affair, and stored answers are the store's. Only `git` runs git, only `artifacts`
spells the folders under `data/`, only `dvc_files` parses dvc.yaml and dvc.lock.
"""
