"""Sample documents' beginnings from a teacher and print their sentences, for people to read and count.

    python -m recipe.lm.sample --model build/teacher/final --domain news --sentences 100 --top-p 0.8 --seed 0

One sentence a line: the first ones of each sampled text, whole or not, so that what is read is what the model writes.
"""

import argparse
from pathlib import Path

import torch
from impdistill.text.sentences import split_sentences
from transformers import AutoModelForCausalLM, AutoTokenizer

from recipe.lm.documents import END_OF_TEXT, PREFIXES


@torch.inference_mode()
def sample_sentences(
    folder: Path, domain: str, *, count: int, sentences_per_text: int, top_p: float, max_new_tokens: int, seed: int, device: str
) -> list[str]:
    """`count` sentences: the first `sentences_per_text` of as many texts as it takes; a text that ends sooner gives fewer."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).to(device).eval()
    start = tokenizer(f"{END_OF_TEXT}{PREFIXES[domain]}", return_tensors="pt").to(device)
    torch.manual_seed(seed)
    found: list[str] = []
    while len(found) < count:
        texts = model.generate(**start, do_sample=True, top_p=top_p, top_k=0, max_new_tokens=max_new_tokens, num_return_sequences=25)[
            :, start["input_ids"].shape[1] :
        ]
        for text in tokenizer.batch_decode(texts, skip_special_tokens=True):
            found += split_sentences(text.strip())[:sentences_per_text]
    return found[:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a transformers folder")
    parser.add_argument("--domain", choices=PREFIXES, required=True)
    parser.add_argument("--sentences", type=int, default=100, help="how many to print (default: %(default)s)")
    parser.add_argument("--sentences-per-text", type=int, default=3, help="taken from each text (default: %(default)s)")
    parser.add_argument("--top-p", type=float, default=0.8, help="(default: %(default)s)")
    parser.add_argument("--max-new-tokens", type=int, default=160, help="of each text (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="(default: %(default)s)")
    arguments = parser.parse_args()
    for sentence in sample_sentences(
        arguments.model,
        arguments.domain,
        count=arguments.sentences,
        sentences_per_text=arguments.sentences_per_text,
        top_p=arguments.top_p,
        max_new_tokens=arguments.max_new_tokens,
        seed=arguments.seed,
        device=arguments.device,
    ):
        print(sentence)


if __name__ == "__main__":
    main()
