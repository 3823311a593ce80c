r"""Spell mathematics in one way: what LaTeX, Unicode and typesetters write differently and mean alike.

`1{,}000`, `\frac12`, `1½`, `1.5 \times 10^{3}`, `−42` and `４２` become `1,000`, `1/2`, `1 1/2`, `1.5*10^3`, `-42` and
`42`. What has no plain spelling, such as `\sqrt`, stays as it is.
"""

import re
import unicodedata

_DIGIT, _SMALL = r"(\d)", r"(-?\d+)"
_LATEX: tuple[tuple[str, str], ...] = (
    (r"\\(?:left|right|displaystyle|bigl|bigr)(?![a-zA-Z])", ""),
    (r"\{,\}|,\\!(?=\d)", ","),
    (r"\\[,;:!]|\\ |\\thinspace\b|(?<=\d)~(?=\d)", "\N{THIN SPACE}"),
    (r"\\([%$#&])", r"\1"),
    (r"\\(?:text|mathrm|mbox|textbf|mathbf|operatorname|textit|boxed)\s*\{([^{}]*)\}", r" \1 "),
    (r"\\(?:times|cdot|ast)(?![a-zA-Z])", "*"),
    (r"\\div(?![a-zA-Z])", "/"),
    (r"\\(?:approx|sim)(?![a-zA-Z])", "≈"),
    (r"(\d)\s*\\[dtc]?frac\s*\{(\d+)\}\s*\{(\d+)\}", r"\1 \2/\3"),
    (r"(\d)\s*\\[dtc]?frac\s*(\d)\s*(\d)", r"\1 \2/\3"),
    (r"\\[dtc]?frac\s*\{(-?\d+)\}\s*\{(-?\d+)\}", r"\1/\2"),
    (r"\\[dtc]?frac\s*(\d)\s*\{(\d+)\}", r"\1/\2"),
    (r"\\[dtc]?frac\s*\{(\d+)\}\s*(\d)", r"\1/\2"),
    (r"\\[dtc]?frac\s*(\d)\s*(\d)", r"\1/\2"),
    (r"\^\s*\{\s*\\circ\s*\}|\^\s*\\circ|\\degree", " degrees "),
    (r"\^\s*\{\s*([-+]?\d+)\s*\}", r"^\1"),
    (r"(?<=[\d)])\*\*(?=[-+]?\d)", "^"),
    (r"\*\*|(?<![\w)*\s])\*(?=[-+$\d])|(?<=[\d%])\*(?=[\s.,;:!?)]|$)", " "),
)
_RULES = tuple((re.compile(pattern), to) for pattern, to in _LATEX)
_SIGNS = str.maketrans(
    {
        "\N{MINUS SIGN}": "-",
        "\N{EN DASH}": "-",
        "\N{EM DASH}": " - ",
        "\N{NON-BREAKING HYPHEN}": "-",
        "\N{HYPHEN}": "-",
        "\N{FULLWIDTH HYPHEN-MINUS}": "-",
        "\N{SMALL HYPHEN-MINUS}": "-",
        "\N{SUPERSCRIPT MINUS}": "-",
        "\N{FIGURE DASH}": "-",
        "×": "*",
        "·": "*",
        "⋅": "*",
        "∗": "*",
        "÷": "/",
        "\N{FRACTION SLASH}": "/",
        "\N{DIVISION SLASH}": "/",
        "’": "'",
        "‘": "'",
        "\N{NO-BREAK SPACE}": "\N{THIN SPACE}",
        "\N{NARROW NO-BREAK SPACE}": "\N{THIN SPACE}",
        "\N{FIGURE SPACE}": "\N{THIN SPACE}",
        "\u200b": "",
        "\ufeff": "",
        "°": " degrees ",
        "\u2060": "",
    }
)
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_RAISED = re.compile(r"[⁻-]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_OTHER_THAN_ASCII = re.compile(r"[^\x00-\x7f]")


def plain(text: str) -> str:
    """A text in its plain spelling; thin blanks stay, as they stand inside of one number."""
    if not text.isascii():
        text = _RAISED.sub(lambda raised: "^" + raised[0].translate(_SUPERSCRIPTS), text.translate(_SIGNS))
        text = _OTHER_THAN_ASCII.sub(_in_ascii, text)
    if "\\" in text or "{" in text or "^" in text or "*" in text:
        for rule, to in _RULES:
            text = rule.sub(to, text)
    return text


def _in_ascii(found: re.Match[str]) -> str:
    """One sign: a vulgar fraction behind what it follows, digits and letters of any width as plain ones."""
    sign = found[0]
    if sign == "\N{THIN SPACE}":
        return sign
    simple = unicodedata.normalize("NFKC", sign)
    if "\N{FRACTION SLASH}" in simple:
        return " " + simple.replace("\N{FRACTION SLASH}", "/")
    decimal = unicodedata.decimal(sign, None)
    return simple if decimal is None else str(decimal)
