"""Messages to token ids, so that a content is always data and never control.

A chat template is rendered with a placeholder for each content, and what it wrote is cut at its special tokens. Only
those special tokens become control tokens. The plain stretches between them, contents included, are encoded with
special-token parsing off: a content that spells `<|im_start|>` is seven ordinary tokens and opens no turn. For ordinary
contents the ids equal those of `tokenizer.apply_chat_template`.

Not covered: a content is never trimmed or rewritten, even where the template would; and a template that marks its turns
with plain words cannot be protected from a content that writes the same words.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from orca2.core.errors import Orca2Error
from orca2.core.rows import Message
from orca2.recipe.chat.frames import CLOCK, Turn, encode_plain, prompt_frame, turn_of
from orca2.recipe.chat.tokenizer import Tokenizer

_PROBE = (Message(role="user", content="What is 2 + 2?"), Message(role="assistant", content="It is 4."))


class AnswerNotKeptError(Orca2Error):
    """An answer that this tokenizer cannot spell as it stands."""


class Encoded(NamedTuple):
    """A conversation in token ids, and the half-open span of the teacher's tokens in it."""

    input_ids: list[int]
    supervised_start: int
    supervised_end: int


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
    frames = [prompt_frame(tokenizer, _roles(messages)) for messages in conversations]
    texts = [frame.texts(messages) for frame, messages in zip(frames, conversations, strict=True)]
    distinct = list(dict.fromkeys(itertools.chain.from_iterable(texts)))
    ids = dict(zip(distinct, encode_plain(tokenizer, distinct), strict=True))
    return [frame.ids([ids[text] for text in own]) for frame, own in zip(frames, texts, strict=True)]


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
    turns = [turn_of(tokenizer, _roles(messages)) for messages in conversations]
    texts = [_texts_around(turn, messages) for turn, messages in zip(turns, conversations, strict=True)]
    distinct = list(dict.fromkeys(text for before, taught, after in texts for text in (*before, taught, *after)))
    ids = dict(zip(distinct, encode_plain(tokenizer, distinct), strict=True))
    answers = [[*ids[taught], turn.end_token] for turn, (_, taught, _) in zip(turns, texts, strict=True)]
    decoded = tokenizer.backend_tokenizer.decode_batch(answers, skip_special_tokens=False)
    encoded: list[Encoded | AnswerNotKeptError] = []
    for turn, (before, taught, after), answer, spelt in zip(turns, texts, answers, decoded, strict=True):
        prompt = turn.prompt.ids([ids[text] for text in before])
        rest = turn.rest.ids([ids[text] for text in after])
        whole = Encoded([*prompt, *answer, *rest], len(prompt), len(prompt) + len(answer))
        encoded.append(_not_kept(tokenizer, taught, turn.end_token, spelt) or whole)
    return encoded


def _texts_around(turn: Turn, messages: Sequence[Message]) -> tuple[list[str], str, list[str]]:
    """The stretches of text before the answer, with it, and after it."""
    taught = messages[-1].content + turn.after_answer
    return turn.prompt.texts(messages), taught, turn.rest.texts(messages)


def _roles(messages: Sequence[Message]) -> tuple[str, ...]:
    if not messages:
        raise Orca2Error("a conversation without messages", "", "give at least one message")
    return tuple(message.role for message in messages)


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
    expected = tokenizer.apply_chat_template(whole, return_dict=False, strftime_now=CLOCK.strftime)
    if encode_conversation(tokenizer, _PROBE).input_ids != expected:
        hint = "use a model with a byte-level tokenizer"
        raise Orca2Error("the tokenizer joins text across turns, so contents cannot be kept apart", str(folder), hint)
