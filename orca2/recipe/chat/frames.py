"""What a chat template writes around the contents of a conversation, by its roles: once for all that have the same.

The template is rendered with a placeholder for each content, and what it wrote is cut at its special tokens.
"""

import datetime
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from orca2.core.errors import Orca2Error
from orca2.core.rows import Message
from orca2.recipe.chat.tokenizer import SpecialToken, Tokenizer

_PLACEHOLDER = re.compile("\ue000([0-9]+)\ue001")
CLOCK = datetime.date(2024, 1, 1)
"""The day a template that asks for today's date is given: same inputs, same bytes, on any day."""


class Frame(NamedTuple):
    """What a template writes around the contents: token ids, and stretches of text and content numbers."""

    pieces: tuple[int | tuple[str | int, ...], ...]

    def texts(self, messages: Sequence[Message]) -> list[str]:
        """The stretches of text with the contents in place."""
        return [
            "".join(part if isinstance(part, str) else messages[part].content for part in piece)
            for piece in self.pieces
            if not isinstance(piece, int)
        ]

    def ids(self, stretches: Iterable[Sequence[int]]) -> list[int]:
        """Token ids, given those of the stretches in their order."""
        ids: list[int] = []
        encoded = iter(stretches)
        for piece in self.pieces:
            if isinstance(piece, int):
                ids.append(piece)
            else:
                ids.extend(next(encoded))
        return ids


class Turn(NamedTuple):
    """The frames of a conversation that ends with an answer: all before the answer, and all after it."""

    prompt: Frame
    after_answer: str
    """Plain text between the answer and its end-of-turn token; empty in most templates."""
    end_token: int
    rest: Frame


@lru_cache(maxsize=256)
def prompt_frame(tokenizer: Tokenizer, roles: tuple[str, ...]) -> Frame:
    """The frame of messages of these roles, up to the opening of the answer that is asked for."""
    return _frame(tokenizer, _render(tokenizer, roles, generation_prompt=True))


@lru_cache(maxsize=256)
def turn_of(tokenizer: Tokenizer, roles: tuple[str, ...]) -> Turn:
    """The template's conversation of these roles, cut at its last answer.

    Raises:
        Orca2Error: the template writes no such conversation, or the roles are none.
    """
    where = f"message {len(roles)}"
    if roles[-1] != "assistant" or len(roles) == 1:
        raise Orca2Error("a conversation must end with an answer to something", where, "add the assistant's message")
    rendered = _render(tokenizer, roles, generation_prompt=False)
    before, after = rendered.split(_placeholder(len(roles) - 1))
    if before != _render(tokenizer, roles[:-1], generation_prompt=True):
        hint = "use a model whose template has no hidden turns, or one that does not rewrite earlier ones"
        raise Orca2Error("the chat template opens an answer otherwise than it asks for one", where, hint)
    end = _special_tokens(tokenizer).search(after)
    if end is None:
        raise Orca2Error("the chat template writes no end-of-turn token after an answer", where, "use another template")
    prompt = prompt_frame(tokenizer, roles[:-1])
    return Turn(prompt, after[: end.start()], _token_id(tokenizer, end), _frame(tokenizer, after[end.end() :]))


def _placeholder(index: int) -> str:
    """Private-use characters, which no template writes by itself."""
    return f"\ue000{index}\ue001"


def _render(tokenizer: Tokenizer, roles: tuple[str, ...], *, generation_prompt: bool) -> str:
    """The template's text with placeholders for contents, each there once and in order."""
    from jinja2 import TemplateError

    messages = [{"role": role, "content": _placeholder(index)} for index, role in enumerate(roles)]
    try:
        text = str(
            tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=generation_prompt, strftime_now=CLOCK.strftime
            )
        )
    except TemplateError as error:
        raise Orca2Error(f"the chat template refuses the roles {', '.join(roles)}: {error}") from error
    _require_contents_kept([int(match[1]) for match in _PLACEHOLDER.finditer(text)], roles)
    return text


def _require_contents_kept(found: list[int], roles: tuple[str, ...]) -> None:
    for index, role in enumerate(roles):
        if found.count(index) != 1:
            problem = "drops" if index not in found else "repeats"
            hint = "use a model whose chat template knows this role, or fold the message into another"
            raise Orca2Error(f"the chat template {problem} the content of role `{role}`", f"message {index + 1}", hint)
    if found != sorted(found):
        raise Orca2Error(f"the chat template reorders the messages to {[index + 1 for index in found]}")


def _frame(tokenizer: Tokenizer, text: str) -> Frame:
    """Cut rendered text at its special tokens; encode at once every stretch that holds no content."""
    pieces: list[int | tuple[str | int, ...]] = []
    position = 0
    for match in _special_tokens(tokenizer).finditer(text):
        pieces.extend(_stretch(tokenizer, text[position : match.start()]))
        pieces.append(_token_id(tokenizer, match))
        position = match.end()
    pieces.extend(_stretch(tokenizer, text[position:]))
    return Frame(tuple(pieces))


def _stretch(tokenizer: Tokenizer, text: str) -> list[int | tuple[str | int, ...]]:
    parts = _PLACEHOLDER.split(text)
    if len(parts) == 1:
        return list(encode_plain(tokenizer, [text])[0]) if text else []
    # Splitting at a pattern with one group gives text and content number in turn.
    return [tuple(int(part) if index % 2 else part for index, part in enumerate(parts) if part)]


@lru_cache(maxsize=16)
def _special_tokens(tokenizer: Tokenizer) -> re.Pattern[str]:
    """Matches each special token as the tokenizer would, with the spaces that it swallows."""
    special = [token for token in tokenizer.added_tokens_decoder.values() if token.special]
    return re.compile("|".join(_token_pattern(token) for token in sorted(special, key=lambda t: -len(t.content))))


def _token_pattern(token: SpecialToken) -> str:
    before, after = (r"\s*" if strips else "" for strips in (token.lstrip, token.rstrip))
    return f"{before}{re.escape(token.content)}{after}"


def _token_id(tokenizer: Tokenizer, match: re.Match[str]) -> int:
    ids = tokenizer.added_tokens_encoder
    return ids[match[0] if match[0] in ids else match[0].strip()]


def encode_plain(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    """Token ids of each text, with nothing in it taken for a special token."""
    if not texts:
        return []
    backend = tokenizer.backend_tokenizer
    backend.encode_special_tokens = True  # as plain text, that is
    backend.no_truncation()
    backend.no_padding()
    return [encoded.ids for encoded in backend.encode_batch_fast(texts, add_special_tokens=False)]
