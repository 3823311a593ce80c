"""What is used of a fast tokenizer of Transformers, typed: the library itself is imported only where one is loaded."""

from collections.abc import Mapping, Sequence
from typing import Protocol


class SpecialToken(Protocol):
    """A token that a tokenizer was given on top of its vocabulary."""

    content: str
    special: bool
    lstrip: bool
    rstrip: bool


class _Normalizer(Protocol):
    def normalize_str(self, text: str) -> str: ...


class _Encoding(Protocol):
    ids: list[int]


class _Backend(Protocol):
    normalizer: _Normalizer | None
    encode_special_tokens: bool

    def no_truncation(self) -> None: ...

    def no_padding(self) -> None: ...

    def decode_batch(self, sequences: list[list[int]], *, skip_special_tokens: bool) -> list[str]: ...

    def encode_batch_fast(self, texts: list[str], *, add_special_tokens: bool) -> Sequence[_Encoding]: ...


class Tokenizer(Protocol):
    """What is used of a fast tokenizer of Transformers."""

    chat_template: object
    backend_tokenizer: _Backend
    added_tokens_decoder: Mapping[int, SpecialToken]
    added_tokens_encoder: Mapping[str, int]

    def apply_chat_template(self, conversation: list[dict[str, str]], **settings: object) -> object: ...

    def convert_ids_to_tokens(self, token_id: int) -> str: ...

    def encode(self, text: str, **settings: bool) -> list[int]: ...

    def decode(self, token_ids: list[int], **settings: bool) -> str: ...

    def __hash__(self) -> int: ...
