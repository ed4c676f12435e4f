"""Fine-tune MiniLM into the three-way judge; stop and resume at will.

Two stages share this program. ``--stage nli`` reads the licensed NLI sources at a constant rate; ``--stage mix`` starts from
its weights (``--start``), adds the hard cases, and lets the rate fall linearly to zero over ``--pairs``.

The network runs in bfloat16, as it is shipped; AdamW steps float32 master weights. Word embeddings stay frozen: half of
the parameters, seldom seen, and untouched they keep synonyms near each other. A running average of the weights is what is
evaluated and released.

    python -m recipe.judge.train --base MINILM --nli nli.jsonl.xz --out runs/nli --stage nli --pairs 300000
    python -m recipe.judge.train --base MINILM --nli nli.jsonl.xz --out runs/mix --stage mix --pairs 200000 \\
        --start runs/nli/state.safetensors --hard hard-train.jsonl
"""

import argparse
import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import BertForSequenceClassification

from recipe.judge.batches import Batch, encode, shuffled_batches
from recipe.judge.errors import RecipeError
from recipe.judge.mixture import Mixture, load_mixture
from recipe.judge.pairs import LABELS

_ENTAILMENT = LABELS.index("entailment")
_NEUTRAL = LABELS.index("neutral")
_CONTRADICTION = LABELS.index("contradiction")

#: Rows of the position table that are kept: the judge reads sentence pairs, and the file stays below its limit.
POSITIONS = 256


@dataclass(frozen=True, slots=True)
class Schedule:
    """How fast to learn. ``pairs`` is the length of the stage in pair passes; ``average`` the decay of the running mean."""

    pairs: int
    peak: float = 1.5e-4
    warmup_pairs: int = 5_000
    falls: bool = False
    weight_decay: float = 0.05
    max_batch_tokens: int = 3_072
    average: float = 0.998
    label_smoothing: float = 0.0

    def rate(self, seen: int) -> float:
        """Learning rate after ``seen`` pair passes."""
        if seen < self.warmup_pairs:
            return self.peak * (seen + 1) / self.warmup_pairs
        if not self.falls:
            return self.peak
        return self.peak * max(0.0, 1 - (seen - self.warmup_pairs) / max(1, self.pairs - self.warmup_pairs))


def judge_loss(logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean negative log-likelihood over three-way and two-way targets.

    Args:
        logits: (B, 3), in the order of ``LABELS``.
        targets: (B,) indices into ``TARGETS``; 3 (not entailment) costs -log(1 - P(entailment)).
        label_smoothing: mass moved from the target to its alternatives, 0 to 1.
    """
    log_p = logits.float().log_softmax(-1)  # (B, 3)
    log_not = torch.logsumexp(log_p[:, [_CONTRADICTION, _NEUTRAL]], -1, keepdim=True)  # (B, 1)
    log_four = torch.cat([log_p, log_not], -1)  # (B, 4)
    hit = log_four.gather(1, targets[:, None]).squeeze(1)  # (B,)
    if label_smoothing == 0:
        return -hit.mean()
    spread = torch.where(targets == len(LABELS), log_p[:, _ENTAILMENT], log_p.mean(-1))
    return -((1 - label_smoothing) * hit + label_smoothing * spread).mean()


Loss = Callable[[Tensor, Tensor, float], Tensor]
"""Logits (B, labels), targets (B,) and label smoothing to a mean loss."""


def load_base(base: Path) -> BertForSequenceClassification:
    """MiniLM with a fresh three-way head and ``POSITIONS`` positions, in bfloat16."""
    torch.manual_seed(0)
    names = dict(enumerate(LABELS))
    model = BertForSequenceClassification.from_pretrained(
        base,
        id2label=names,
        label2id={name: index for index, name in names.items()},
        attention_probs_dropout_prob=0.0,
        attn_implementation="eager",  # measured: 100 pairs/s against 64 (sdpa) for training on one core in bfloat16
        dtype=torch.bfloat16,
    )
    embeddings = model.bert.embeddings
    embeddings.position_embeddings = torch.nn.Embedding.from_pretrained(
        embeddings.position_embeddings.weight[:POSITIONS].clone(), freeze=False
    )
    embeddings.register_buffer("position_ids", torch.arange(POSITIONS)[None], persistent=False)
    embeddings.register_buffer("token_type_ids", torch.zeros(1, POSITIONS, dtype=torch.long), persistent=False)
    model.config.max_position_embeddings = POSITIONS
    embeddings.word_embeddings.weight.requires_grad_(False)
    return model


class Trainer:
    """Float32 masters, their moments and running average beside a bfloat16 network; saved and restored whole."""

    def __init__(self, model: BertForSequenceClassification, schedule: Schedule, loss: Loss = judge_loss) -> None:
        self.model = model
        self.loss = loss
        self.schedule = schedule
        self.live = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self.masters = {name: weight.detach().float().clone() for name, weight in self.live.items()}
        self.averages = {name: master.clone() for name, master in self.masters.items()}
        decayed = [m for m in self.masters.values() if m.ndim > 1]
        plain = [m for m in self.masters.values() if m.ndim == 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": schedule.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            betas=(0.9, 0.98),
            eps=1e-6,
            fused=True,
        )
        self.seen = 0
        self.steps = 0
        self.epoch = 0
        self.batch_in_epoch = 0

    def step(self, batch: Batch) -> float:
        """One optimiser step; returns the batch's loss."""
        logits = self.model(input_ids=batch.ids, attention_mask=batch.mask, token_type_ids=batch.types).logits
        loss = self.loss(logits, batch.targets, self.schedule.label_smoothing)
        loss.backward()
        for name, weight in self.live.items():
            self.masters[name].grad = weight.grad.float() if weight.grad is not None else None
            weight.grad = None
        torch.nn.utils.clip_grad_norm_(list(self.masters.values()), 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate(self.seen)
        self.optimizer.step()
        decay = min(self.schedule.average, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            for name, weight in self.live.items():
                weight.copy_(self.masters[name])
                self.averages[name].lerp_(self.masters[name], 1 - decay)
        self.seen += len(batch.targets)
        self.steps += 1
        self.batch_in_epoch += 1
        return float(loss.detach())

    def save(self, path: Path) -> None:
        """Write masters, moments, averages and counters to one safetensors file, by rename."""
        tensors = {f"master.{n}": t for n, t in self.masters.items()} | {f"average.{n}": t for n, t in self.averages.items()}
        for name, master in self.masters.items():
            state = self.optimizer.state.get(master)
            if state:
                tensors |= {f"first.{name}": state["exp_avg"], f"second.{name}": state["exp_avg_sq"]}
        counters = {key: str(getattr(self, key)) for key in ("seen", "steps", "epoch", "batch_in_epoch")}
        scratch = path.with_suffix(".tmp")
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, scratch, counters)
        scratch.rename(path)

    def restore(self, path: Path) -> None:
        """Continue from what ``save`` wrote."""
        tensors = load_file(path)
        with torch.no_grad():
            for name, master in self.masters.items():
                master.copy_(tensors[f"master.{name}"])
                self.averages[name].copy_(tensors[f"average.{name}"])
                self.live[name].copy_(master)
                if f"first.{name}" in tensors:
                    self.optimizer.state[master] = {
                        "step": torch.tensor(0.0),
                        "exp_avg": tensors[f"first.{name}"],
                        "exp_avg_sq": tensors[f"second.{name}"],
                    }
        with safe_open(path, "pt") as opened:
            counters = opened.metadata() or {}
        self.seen, self.steps = int(counters["seen"]), int(counters["steps"])
        self.epoch, self.batch_in_epoch = int(counters["epoch"]), int(counters["batch_in_epoch"])
        for state in self.optimizer.state.values():
            state["step"] = torch.tensor(float(self.steps))

    def start_from(self, path: Path) -> None:
        """Take the averaged weights of another stage, or a finished model folder, as the starting point; all else begins anew."""
        whole = path.is_dir()
        tensors = load_file(path / "model.safetensors" if whole else path)
        with torch.no_grad():
            for name, master in self.masters.items():
                master.copy_(tensors[name if whole else f"average.{name}"])
                self.averages[name].copy_(master)
                self.live[name].copy_(master)


def batches_from(mixture: Mixture, tokenizer: Tokenizer, trainer: Trainer, seed: int) -> Iterator[Batch]:
    """Batches without end, beginning where the trainer stopped."""
    while True:
        rows = encode(tokenizer, mixture.epoch(trainer.epoch, seed))
        for index, batch in enumerate(shuffled_batches(rows, trainer.schedule.max_batch_tokens, f"{seed}/{trainer.epoch}")):
            if index >= trainer.batch_in_epoch:
                yield batch
        trainer.epoch += 1
        trainer.batch_in_epoch = 0


def save_model(trainer: Trainer, base: Path, out: Path) -> None:
    """Write the averaged weights as a standard transformers folder in bfloat16."""
    live = {name: weight.detach().clone() for name, weight in trainer.live.items()}
    with torch.no_grad():
        for name, weight in trainer.live.items():
            weight.copy_(trainer.averages[name])
    trainer.model.save_pretrained(out)
    with torch.no_grad():
        for name, weight in trainer.live.items():
            weight.copy_(live[name])
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(POSITIONS, strategy="longest_first")
    tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": POSITIONS}
    (out / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Run one stage to its last pair, or to SIGTERM; both leave a state to resume from and a model folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True, help="MiniLM folder (transformers files)")
    parser.add_argument("--nli", type=Path, required=True, help="NLI corpus, .jsonl or .jsonl.xz")
    parser.add_argument("--out", type=Path, required=True, help="folder for the state, the log and the model")
    parser.add_argument("--stage", choices=("nli", "mix", "final"), required=True)
    parser.add_argument("--pairs", type=int, required=True, help="pair passes of this stage")
    parser.add_argument("--peak", type=float, default=1.5e-4, help="learning rate")
    parser.add_argument("--hard", type=Path, nargs="*", default=[], help="hard cases (stages mix and final)")
    parser.add_argument("--hard-per-epoch", type=int, default=20_000, help="hard cases an epoch (stage final; default: %(default)s)")
    parser.add_argument("--nli-part", type=float, default=0.25, help="part of the NLI sources an epoch (stage final; default: %(default)s)")
    parser.add_argument(
        "--own-use", action="store_true", help="learn from sources whose licence does not permit release too: for weights of your own use"
    )
    parser.add_argument("--start", type=Path, help="state of an earlier stage, or a model folder, that is the start")
    parser.add_argument("--save-seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if options.stage != "nli" and options.start is None:
        raise RecipeError("--start is missing: stages mix and final begin with the weights of an earlier stage")

    # 1. The network, the mixture, and where an earlier run of this stage stopped.
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    state, log = options.out / "state.safetensors", options.out / "log.jsonl"
    falls = options.stage != "nli"
    # A falling rate averages by itself; a constant one needs the longer mean.
    schedule = Schedule(options.pairs, options.peak, warmup_pairs=2_000 if falls else 5_000, falls=falls, average=0.99 if falls else 0.998)
    trainer = Trainer(load_base(options.base).train(), schedule)
    if state.exists():
        trainer.restore(state)
    elif options.start is not None:
        trainer.start_from(options.start)
    mixture = load_mixture(
        options.nli, options.hard, options.stage == "final", options.hard_per_epoch, options.nli_part, own_use=options.own_use
    )
    tokenizer = Tokenizer.from_file(str(options.base / "tokenizer.json"))

    # 2. Steps, until the pairs are spent or the machine wants its core back.
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    torch.manual_seed(options.seed + trainer.steps)
    saved = logged = time.monotonic()
    losses: list[float] = []
    seen_at_log = trainer.seen
    with log.open("a", encoding="utf-8") as lines:
        lines.write(
            json.dumps({"stage": options.stage, "schedule": asdict(schedule), "seen": trainer.seen, "own_use": options.own_use}) + "\n"
        )
        for batch in batches_from(mixture, tokenizer, trainer, options.seed):
            losses.append(trainer.step(batch))
            now = time.monotonic()
            if len(losses) == 50:
                row = {
                    "seen": trainer.seen,
                    "epoch": trainer.epoch,
                    "loss": round(sum(losses) / len(losses), 4),
                    "rate": schedule.rate(trainer.seen),
                    "pairs_per_second": round((trainer.seen - seen_at_log) / (now - logged), 1),
                }
                lines.write(json.dumps(row) + "\n")
                lines.flush()
                losses, logged, seen_at_log = [], now, trainer.seen
            if now - saved > options.save_seconds or stopping or trainer.seen >= options.pairs:
                trainer.save(state)
                save_model(trainer, options.base, options.out / "model")
                saved = now
            if stopping or trainer.seen >= options.pairs:
                break


if __name__ == "__main__":
    main()
