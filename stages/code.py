"""Write down what the code of every stage means, so that a comment makes none of them stale.

    python -m stages.code

Reads dvc.yaml, the stages' scripts and all that they import. Writes steps.yaml.
"""

from orca2.core.errors import exit_on_error
from orca2.project.code import STEPS_FILE, write_steps


def main() -> None:
    print(f"code: {len(write_steps())} stages: {STEPS_FILE}")


if __name__ == "__main__":
    exit_on_error(main)
