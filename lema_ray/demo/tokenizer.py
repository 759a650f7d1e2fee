"""The tiny model's tokenizer: byte-level BPE with a token for every small whole number and for frequent phrases.

`base_model` trains and saves it. Any other text still encodes, in smaller pieces. Phrases such as ` under the bed` as
single tokens halve the length of questions and solutions, and so the time to learn and to answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, END = "<|pad|>", "<|end|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
# A turn is its role token, the content as it is, and the end token; a final turn is continued by leaving that off.
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
MIN_FREQUENCY = 100


def train_tokenizer(
    texts: Sequence[str], words: Sequence[str], max_value: int, context: int
) -> PreTrainedTokenizerFast:
    """A tokenizer learned from texts, in which ` 0` to ` <max_value>` and the given words are single tokens."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(_pieces(words)), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4096,  # a bound only: the generated language runs out of pairs long before
        min_frequency=MIN_FREQUENCY,
        special_tokens=[PAD, END, *ROLES],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_with_numbers(texts, max_value), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token=END, pad_token=PAD, model_max_length=context, clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def _pieces(words: Sequence[str]) -> str:
    """The pattern of what may become one token: a number, one of the words, or what lies between those on a line.

    No token goes on after a line break, so that masks and continued answers can begin at any line.
    """
    cut = rf" ?(?:\d+|\b(?:{'|'.join(words)})\b)"
    return rf"{cut}|(?:(?!{cut})[^\n])+\n*|\n+"


def _with_numbers(texts: Sequence[str], max_value: int) -> Iterator[str]:
    yield from texts
    for number in range(max_value + 1):
        yield f" {number}" * 10 * MIN_FREQUENCY
