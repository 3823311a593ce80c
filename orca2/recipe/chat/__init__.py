"""Messages to token ids, so that a content is always data and never control.

A chat template is rendered with a placeholder for each content, and what it wrote is cut at its special tokens. Only
those special tokens become control tokens. The plain stretches between them, contents included, are encoded with
special-token parsing off: a content that spells `<|im_start|>` is seven ordinary tokens and opens no turn. For ordinary
contents the ids equal those of `tokenizer.apply_chat_template`.

Not covered: a content is never trimmed or rewritten, even where the template would; and a template that marks its turns
with plain words cannot be protected from a content that writes the same words.
"""

import datetime
import itertools
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from orca2.core.errors import Orca2Error
from orca2.core.rows import Message
from orca2.recipe.chat.tokenizer import SpecialToken, Tokenizer

_PLACEHOLDER = re.compile("\ue000([0-9]+)\ue001")
_PROBE = (Message(role="user", content="What is 2 + 2?"), Message(role="assistant", content="It is 4."))
_TEMPLATE_CLOCK = datetime.date(2024, 1, 1)
"""The day a template that asks for today's date is given: same inputs, same bytes, on any day."""


class AnswerNotKeptError(Orca2Error):
    """An answer that this tokenizer cannot spell as it stands."""


class Encoded(NamedTuple):
    """A conversation in token ids, and the half-open span of the teacher's tokens in it."""

    input_ids: list[int]
    supervised_start: int
    supervised_end: int


class _Frame(NamedTuple):
    """What a template writes around the contents: token ids, and stretches of text and content numbers."""

    pieces: tuple[int | tuple[str | int, ...], ...]


class _Turn(NamedTuple):
    """The frames of a conversation that ends with an answer: all before the answer, and all after it."""

    prompt: _Frame
    after_answer: str
    """Plain text between the answer and its end-of-turn token; empty in most templates."""
    end_token: int
    rest: _Frame


def load_tokenizer(folder: Path) -> Tokenizer:
    """The fast tokenizer of a model folder, checked to be one whose conversations can be encoded safely.

    It is the one in tokenizer.json. Where a class is named beside it, `AutoTokenizer` would build it anew from the
    vocabulary, which for DeepSeek-V3 loses every blank (Transformers 5.19); and it would import torch, for seconds.

    Raises:
        Orca2Error: the folder has no usable tokenizer or no chat template.
    """
    from transformers import PreTrainedTokenizerFast

    if not (folder / "tokenizer.json").is_file():
        hint = "name a model folder with a fast tokenizer, or run the stage `prepare_models` again"
        raise Orca2Error("no tokenizer.json", str(folder), hint)
    tokenizer: Tokenizer
    try:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise Orca2Error(f"the tokenizer cannot be loaded: {error}", str(folder), "mend or replace it") from error
    _require_template(tokenizer, folder)
    return tokenizer


def encode_prompt(tokenizer: Tokenizer, messages: Sequence[Message]) -> list[int]:
    """Token ids of the messages and of the opening of the answer that is asked for."""
    return encode_prompts(tokenizer, [messages])[0]


def encode_prompts(tokenizer: Tokenizer, conversations: Sequence[Sequence[Message]]) -> list[list[int]]:
    """Each of many conversations as `encode_prompt` gives it; what they share goes to the tokenizer once."""
    frames = [_prompt_frame(tokenizer, _roles(messages)) for messages in conversations]
    texts = [_texts(frame, messages) for frame, messages in zip(frames, conversations, strict=True)]
    distinct = list(dict.fromkeys(itertools.chain.from_iterable(texts)))
    ids = dict(zip(distinct, _encode_plain(tokenizer, distinct), strict=True))
    return [_fill(frame, [ids[text] for text in own]) for frame, own in zip(frames, texts, strict=True)]


def encode_conversation(tokenizer: Tokenizer, messages: Sequence[Message]) -> Encoded:
    """Token ids of a conversation that ends with an answer, which is what `encode_prompt` gives and then the answer.

    Raises:
        Orca2Error: it does not end with an answer, or the template or the tokenizer does not keep a content as it is.
    """
    (encoded,) = encode_conversations(tokenizer, [messages])
    if isinstance(encoded, AnswerNotKeptError):
        raise encoded
    return encoded


def encode_conversations(
    tokenizer: Tokenizer, conversations: Sequence[Sequence[Message]]
) -> list[Encoded | AnswerNotKeptError]:
    """Each of many conversations as `encode_conversation` gives it, or why its answer cannot be kept.

    All their texts go to the tokenizer at once, each different one once.

    Raises:
        Orca2Error: one does not end with an answer, or the template does not keep a content as it is.
    """
    turns = [_turn(tokenizer, _roles(messages)) for messages in conversations]
    texts = [_texts_around(turn, messages) for turn, messages in zip(turns, conversations, strict=True)]
    distinct = list(dict.fromkeys(text for before, taught, after in texts for text in (*before, taught, *after)))
    ids = dict(zip(distinct, _encode_plain(tokenizer, distinct), strict=True))
    answers = [[*ids[taught], turn.end_token] for turn, (_, taught, _) in zip(turns, texts, strict=True)]
    decoded = tokenizer.backend_tokenizer.decode_batch(answers, skip_special_tokens=False)
    encoded: list[Encoded | AnswerNotKeptError] = []
    for turn, (before, taught, after), answer, spelt in zip(turns, texts, answers, decoded, strict=True):
        prompt = _fill(turn.prompt, [ids[text] for text in before])
        rest = _fill(turn.rest, [ids[text] for text in after])
        whole = Encoded([*prompt, *answer, *rest], len(prompt), len(prompt) + len(answer))
        encoded.append(_not_kept(tokenizer, taught, turn.end_token, spelt) or whole)
    return encoded


def _texts_around(turn: _Turn, messages: Sequence[Message]) -> tuple[list[str], str, list[str]]:
    """The stretches of text before the answer, with it, and after it."""
    taught = messages[-1].content + turn.after_answer
    return _texts(turn.prompt, messages), taught, _texts(turn.rest, messages)


def _roles(messages: Sequence[Message]) -> tuple[str, ...]:
    if not messages:
        raise Orca2Error("a conversation without messages", "", "give at least one message")
    return tuple(message.role for message in messages)


def _texts(frame: _Frame, messages: Sequence[Message]) -> list[str]:
    """The frame's stretches with the contents in place."""
    return [
        "".join(part if isinstance(part, str) else messages[part].content for part in piece)
        for piece in frame.pieces
        if not isinstance(piece, int)
    ]


def _fill(frame: _Frame, stretches: list[list[int]]) -> list[int]:
    ids: list[int] = []
    encoded = iter(stretches)
    for piece in frame.pieces:
        if isinstance(piece, int):
            ids.append(piece)
        else:
            ids.extend(next(encoded))
    return ids


def _encode_plain(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    if not texts:
        return []
    backend = tokenizer.backend_tokenizer
    backend.encode_special_tokens = True  # as plain text, that is
    backend.no_truncation()
    backend.no_padding()
    return [encoded.ids for encoded in backend.encode_batch_fast(texts, add_special_tokens=False)]


@lru_cache(maxsize=256)
def _prompt_frame(tokenizer: Tokenizer, roles: tuple[str, ...]) -> _Frame:
    return _frame(tokenizer, _render(tokenizer, roles, generation_prompt=True))


@lru_cache(maxsize=256)
def _turn(tokenizer: Tokenizer, roles: tuple[str, ...]) -> _Turn:
    """Cut the template's conversation at its last answer."""
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
    prompt = _prompt_frame(tokenizer, roles[:-1])
    return _Turn(prompt, after[: end.start()], _token_id(tokenizer, end), _frame(tokenizer, after[end.end() :]))


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
                messages, tokenize=False, add_generation_prompt=generation_prompt, strftime_now=_TEMPLATE_CLOCK.strftime
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


def _frame(tokenizer: Tokenizer, text: str) -> _Frame:
    """Cut rendered text at its special tokens; encode at once every stretch that holds no content."""
    pieces: list[int | tuple[str | int, ...]] = []
    position = 0
    for match in _special_tokens(tokenizer).finditer(text):
        pieces.extend(_stretch(tokenizer, text[position : match.start()]))
        pieces.append(_token_id(tokenizer, match))
        position = match.end()
    pieces.extend(_stretch(tokenizer, text[position:]))
    return _Frame(tuple(pieces))


def _stretch(tokenizer: Tokenizer, text: str) -> list[int | tuple[str | int, ...]]:
    parts = _PLACEHOLDER.split(text)
    if len(parts) == 1:
        return list(_encode_plain(tokenizer, [text])[0]) if text else []
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


def _not_kept(tokenizer: Tokenizer, taught: str, end_token: int, spelt: str) -> AnswerNotKeptError | None:
    """The boundary is right only if the taught tokens spell the answer and its end, nothing more and nothing less."""
    normalizer = tokenizer.backend_tokenizer.normalizer
    expected = normalizer.normalize_str(taught) if normalizer else taught
    if spelt == expected + tokenizer.convert_ids_to_tokens(end_token):
        return None
    return AnswerNotKeptError(f"the tokenizer turns the answer {taught[:40]!r} into {spelt[:40]!r}")


def _require_template(tokenizer: Tokenizer, folder: Path) -> None:
    """One ordinary conversation must encode as the tokenizer itself does it; else its pieces cannot be joined."""
    if not tokenizer.chat_template:
        hint = "use an instruction-tuned model, or add chat_template.jinja to the folder"
        raise Orca2Error("the model has no chat template", str(folder), hint)
    whole = [{"role": message.role, "content": message.content} for message in _PROBE]
    expected = tokenizer.apply_chat_template(whole, return_dict=False, strftime_now=_TEMPLATE_CLOCK.strftime)
    if encode_conversation(tokenizer, _PROBE).input_ids != expected:
        hint = "use a model with a byte-level tokenizer"
        raise Orca2Error("the tokenizer joins text across turns, so contents cannot be kept apart", str(folder), hint)
