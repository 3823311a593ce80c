"""A diff as one HTML page that needs no server and no network.

What a model wrote reaches the page as JSON inside a data block and is only ever set as text; the page's policy lets no
script run but its own, which it knows by digest.
"""

import base64
import hashlib
from pathlib import Path

from orca2.diff.diff import Diff
from orca2.diff.output import Shifts, as_json, headline, tables

_HERE = Path(__file__).parent


def as_html(diff: Diff, shifts: Shifts) -> str:
    """The page: summary, filters, the list of rows, and the chosen row side by side, word by word."""
    import jinja2

    script = (_HERE / "diff.js").read_text("utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False, "ensure_ascii": True}
    return environment.get_template("diff.html.j2").render(
        diff=diff,
        headline=headline(diff),
        tables=list(tables(diff, shifts)),
        rows=as_json(diff, shifts)["rows"],
        total=sum(diff.counts.values()),
        script=script,
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
