"""Fine-tune the lower layers of MiniLM into the critic: P(fluent) of one sentence.

    python -m recipe.critic.train --base MINILM --sentences sentences/ --out runs/critic --epochs 2

Its vocabulary is cut to the word pieces that are frequent in the training sentences, and all single characters, so that any word
can still be spelt: most of MiniLM's weight is words. SIGTERM leaves a state, and the same command goes on from it.
"""

import argparse
import json
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import BertForSequenceClassification

from recipe.critic.make_sentences import PERSON, Sentence, read_sentences
from recipe.judge.batches import MAX_TOKENS, Encoded, collate, cut_by_budget, shuffled_batches
from recipe.judge.train import Schedule, Trainer

LABELS = {0: "garbled", 1: "fluent"}
LAYERS = 4
PIECES = 6_000
POSITIONS = 128
EVERY_CHECK = 200


def kept_pieces(tokenizer: Tokenizer, texts: Sequence[str], most: int) -> list[int]:
    """Ids of the special tokens, all single characters, and the most frequent other pieces; ascending, about `most` in all."""
    vocabulary = tokenizer.get_vocab()
    always = {
        index
        for piece, index in vocabulary.items()
        if (piece.startswith("[") and piece.endswith("]") and len(piece) > 2 and "unused" not in piece)
    }
    always |= {index for piece, index in vocabulary.items() if len(piece.removeprefix("##")) == 1 and piece.isascii()}
    counts = Counter(index for encoding in tokenizer.encode_batch(list(texts)) for index in encoding.ids)
    frequent = [index for index, _ in counts.most_common() if index not in always]
    return sorted(always | set(frequent[: most - len(always)]))


def cut_tokenizer(tokenizer: Tokenizer, kept: Sequence[int]) -> Tokenizer:
    """The tokenizer with these pieces only, numbered anew in their order."""
    content = json.loads(tokenizer.to_str())
    names = {index: piece for piece, index in content["model"]["vocab"].items()}
    number = {names[index]: new for new, index in enumerate(kept)}
    content["model"]["vocab"] = number
    content["added_tokens"] = [token | {"id": number[token["content"]]} for token in content["added_tokens"] if token["content"] in number]
    for token in content["post_processor"]["special_tokens"].values():
        token["ids"] = [number[name] for name in token["tokens"]]
    content["padding"] = None
    content["truncation"] = None
    return Tokenizer.from_str(json.dumps(content))


def load_base(base: Path, kept: Sequence[int]) -> BertForSequenceClassification:
    """MiniLM's first `LAYERS` layers and `POSITIONS` positions with these pieces and a fresh two-way head, in bfloat16."""
    torch.manual_seed(0)
    model = BertForSequenceClassification.from_pretrained(
        base,
        num_hidden_layers=LAYERS,
        id2label=LABELS,
        label2id={name: index for index, name in LABELS.items()},
        attention_probs_dropout_prob=0.0,
        attn_implementation="eager",
        dtype=torch.bfloat16,
    )
    embeddings = model.bert.embeddings
    words = embeddings.word_embeddings.weight[torch.tensor(kept)].clone()
    embeddings.word_embeddings = torch.nn.Embedding.from_pretrained(words, freeze=False, padding_idx=0)
    embeddings.position_embeddings = torch.nn.Embedding.from_pretrained(
        embeddings.position_embeddings.weight[:POSITIONS].clone(), freeze=False
    )
    embeddings.register_buffer("position_ids", torch.arange(POSITIONS)[None], persistent=False)
    embeddings.register_buffer("token_type_ids", torch.zeros(1, POSITIONS, dtype=torch.long), persistent=False)
    model.config.max_position_embeddings = POSITIONS
    model.config.vocab_size = len(kept)
    return model


def encode(tokenizer: Tokenizer, sentences: Sequence[Sentence]) -> list[Encoded]:
    """`[CLS] sentence [SEP]`, at most `MAX_TOKENS`."""
    tokenizer.enable_truncation(MAX_TOKENS)
    encodings = tokenizer.encode_batch([sentence.text for sentence in sentences])
    return [Encoded(found.ids, found.type_ids, int(sentence.kind == PERSON)) for found, sentence in zip(encodings, sentences, strict=True)]


def balanced(sentences: Sequence[Sentence], generator: random.Random) -> list[Sentence]:
    """As many persons' sentences as others', by repeating persons'."""
    persons = [sentence for sentence in sentences if sentence.kind == PERSON]
    others = [sentence for sentence in sentences if sentence.kind != PERSON]
    return others + persons * (len(others) // len(persons)) + generator.sample(persons, len(others) % len(persons))


def critic_loss(logits: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
    """Mean cross entropy, logits (B, 2), targets (B,): 1 is fluent."""
    return cross_entropy(logits.float(), targets, label_smoothing=label_smoothing)


@torch.inference_mode()
def fluency(model: BertForSequenceClassification, rows: Sequence[Encoded]) -> np.ndarray:
    """P(fluent) of each row, (n,)."""
    order = sorted(range(len(rows)), key=lambda index: len(rows[index].ids))
    found = []
    for run in cut_by_budget([rows[index] for index in order], 4_096):
        batch = collate(run)
        logits = model(input_ids=batch.ids, attention_mask=batch.mask, token_type_ids=batch.types).logits
        found += logits.float().softmax(-1)[:, 1].tolist()
    answers = np.empty(len(rows))
    answers[order] = found
    return answers


def report(answers: np.ndarray, sentences: Sequence[Sentence]) -> dict[str, object]:
    """Area under the ROC curve of persons against each other kind, and the share of each kind passed at a few thresholds."""
    kinds = np.array([sentence.kind for sentence in sentences])
    persons = np.sort(answers[kinds == PERSON])
    table: dict[str, object] = {}
    for kind in sorted(set(kinds)):
        own = answers[kinds == kind]
        row = {f"passed at {threshold}": round(float((own >= threshold).mean()), 3) for threshold in (0.3, 0.5, 0.7, 0.8, 0.9)}
        if kind != PERSON:
            row["area"] = round(1 - float(np.searchsorted(persons, own).mean()) / len(persons), 3)
        table[kind] = row
    return table


def save(trainer: Trainer, tokenizer: Tokenizer, out: Path) -> None:
    """The averaged weights and the tokenizer as transformers files."""
    with torch.no_grad():
        for name, weight in trainer.live.items():
            weight.copy_(trainer.averages[name])
    trainer.model.save_pretrained(out)
    with torch.no_grad():
        for name, weight in trainer.live.items():
            weight.copy_(trainer.masters[name])
    tokenizer.enable_truncation(POSITIONS)
    tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": POSITIONS}
    (out / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True, help="MiniLM folder (transformers files)")
    parser.add_argument("--sentences", type=Path, required=True, help="folder written by recipe.critic.make_sentences")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=float, default=2.0)
    parser.add_argument("--peak", type=float, default=1.5e-4, help="learning rate (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    # 1. Sentences, pieces, network
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    train, held_out = (read_sentences(options.sentences / f"{name}.jsonl") for name in ("train", "held-out"))
    whole = Tokenizer.from_file(str(options.base / "tokenizer.json"))
    whole.no_padding()
    whole.no_truncation()
    kept = kept_pieces(whole, [sentence.text for sentence in train], PIECES)
    tokenizer = cut_tokenizer(whole, kept)
    one_epoch = len(balanced(train, random.Random(options.seed)))
    schedule = Schedule(round(options.epochs * one_epoch), options.peak, warmup_pairs=2_000, falls=True, average=0.99, label_smoothing=0.05)
    trainer = Trainer(load_base(options.base, kept).train(), schedule, critic_loss)
    state = options.out / "state.safetensors"
    if state.exists():
        trainer.restore(state)

    # 2. Steps
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    began, losses = time.monotonic(), []
    while trainer.seen < schedule.pairs and not stopping:
        rows = encode(tokenizer, balanced(train, random.Random(f"{options.seed}/{trainer.epoch}")))
        for index, batch in enumerate(shuffled_batches(rows, schedule.max_batch_tokens, f"{options.seed}/{trainer.epoch}")):
            if index < trainer.batch_in_epoch:
                continue
            losses.append(trainer.step(batch))
            if len(losses) == EVERY_CHECK:
                speed = round(trainer.seen / (time.monotonic() - began), 1)
                print(json.dumps({"seen": trainer.seen, "loss": round(sum(losses) / len(losses), 4), "a second": speed}), flush=True)
                losses = []
            if trainer.seen >= schedule.pairs or stopping:
                break
        else:
            trainer.epoch += 1
            trainer.batch_in_epoch = 0
    trainer.save(state)

    # 3. Files and figures
    save(trainer, tokenizer, options.out / "model")
    model = BertForSequenceClassification.from_pretrained(options.out / "model", dtype=torch.bfloat16).eval()
    table = report(fluency(model, encode(tokenizer, held_out)), held_out)
    (options.out / "held-out.json").write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
