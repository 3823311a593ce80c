#!/usr/bin/env bash
# Two versions of a small dataset, made on the spot and compared: bash docs/two_versions.sh NEW_FOLDER
# Minutes on two cores without a GPU, most of them for the embedded model to load and answer the questions of the quiz.
set -euo pipefail
orca2 init "$1" --example quiz
cd "$1"
dvc repro pack
git add --all
git -c user.name="$(id -un)" -c user.email=nobody@example.invalid commit --quiet --message "every answer"
sed -i 's/keep: all/keep: correct/' params.yaml
dvc repro pack
orca2 diff --stat || [ $? = 1 ]
orca2 rejects --stage grade --rows 1
