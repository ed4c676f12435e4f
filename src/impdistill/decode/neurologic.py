"""NeuroLogic decoding: beam search whose outputs contain given words (Lu et al. 2021; Jung et al. 2023, section 2.1.1, equation 1).

One step of a beam of size B:

1. candidates: each row's B best tokens (the B best cells of the whole table are among them), every token that starts or continues a
   phrase of an unmet clause, and every stop; tokens that end the sentence only where all clauses are met and the end is likely enough,
   or where they are the row's best;
2. pruning: candidates outside the `prune_factor` best cells, or more than `tolerance` clauses behind the best, fall out;
3. candidates are grouped by the set of clauses that they meet, and ranked in their group by mean log-probability plus
   `progress_weight` times the longest matched part of an unmet phrase;
4. the next beam takes the best of every group, then the second best of every group, and so on.

All of it is tensor work over prefixes x beams, the same on CPU and CUDA; only texts that end are looked at one by one. With
`look_ahead`, twice as many candidates as fit go on greedily for some steps, and the likeliest start or continuation of an unmet phrase
on that way counts for them (A*esque decoding, Lu et al. 2022).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

import torch
from torch import Tensor

from impdistill.decode.beams import Beams, TeacherFace, open_beams
from impdistill.decode.constraints import Automata, Constraints, Match, compile_constraints
from impdistill.decode.finished import Constrained, Endings
from impdistill.decode.selection import NONE, Candidates, Hypotheses, fill
from impdistill.decode.vocabulary import Vocabulary, read_vocabulary
from impdistill.text.sentences import scan

_LEAST_PROMISE = -20.0
"""log P below which look-ahead sees no difference."""


@dataclass(frozen=True, slots=True)
class NeuroLogic:
    """Settings; the defaults are those published for a model that was not trained for the constraints (GPT-2).

    They were best for a small teacher, too. Share of 5 keywords found with a teacher of 13.8M parameters on 32 contexts: .99; with a
    prune_factor of 50 .17, of 500 .51; with a progress_weight of 0 .80, of .25 .96. Without tolerance it was .97, and outputs were longer,
    less like their sources, and took a quarter more time.

    Attributes:
        beam_size: B, at least 1.
        prune_factor: alpha, a candidate must be among this many best cells; None prunes none.
        tolerance: beta, how many clauses a candidate may lie behind the best; None prunes none.
        progress_weight: lambda, the reward for a partly matched phrase.
        length_penalty: finished texts are ranked by log-probability / length ** length_penalty.
        min_end_probability: P(end) below which a sentence is cut off rather than ended ("... because of."); measured with a small
            teacher, ends after content words lie above it, ends after function words below.
        no_repeat_ngram: no run of this many tokens twice in an output; 0 allows all.
        min_new_tokens: no end before this many tokens.
        max_new_tokens: no output is longer.
        look_ahead: greedy steps of look-ahead; 0 is none.
        look_ahead_weight: what log P of the likeliest start of an unmet phrase counts, beside the mean log-probability.
    """

    beam_size: int = 20
    prune_factor: int | None = None
    tolerance: int | None = 2
    progress_weight: float = 1.25
    length_penalty: float = 0.2
    min_end_probability: float = 0.005
    no_repeat_ngram: int = 3
    min_new_tokens: int = 5
    max_new_tokens: int = 64
    look_ahead: int = 0
    look_ahead_weight: float = 0.25

    def __post_init__(self) -> None:
        if self.beam_size < 1 or self.max_new_tokens < self.min_new_tokens or self.min_new_tokens < 1 or self.look_ahead < 0:
            raise ValueError(f"beam_size and min_new_tokens must be at least 1, max_new_tokens not below min_new_tokens: {self}")
        if not 0 <= self.min_end_probability < 1:
            raise ValueError(f"min_end_probability must be in [0, 1): {self.min_end_probability}")


class _Verdict(Enum):
    """What a stop at the end of a text means."""

    ENDS = auto()
    GOES_ON = auto()
    UNDECIDED = auto()
    TWO_SENTENCES = auto()


@torch.no_grad()
def decode_constrained(
    teacher: TeacherFace,
    prefixes: Sequence[str],
    constraints: Sequence[Constraints],
    settings: NeuroLogic,
    *,
    returned: int,
    sentences: bool = True,
) -> list[list[Constrained]]:
    """The best texts after each prefix that meet its constraints.

    Args:
        teacher: a causal or encoder-decoder model with its tokenizer.
        prefixes: what is gone on from, or read by the encoder. They are decoded as one batch.
        constraints: one per prefix.
        settings: of the search.
        returned: at most this many different texts a prefix.
        sentences: stop at the first sentence end. False: only at the model's end of text.

    Returns:
        For every prefix at most `returned` texts, different in more than case and final punctuation; most clauses met first, then by
        log-probability / length ** length_penalty. Texts cut off at `max_new_tokens` come last, and only where others are too few.

    Raises:
        TextError: a prefix is too long for the model.
        ModelError: the tokenizer has no words of its own.
    """
    if len(prefixes) != len(constraints):
        raise ValueError(f"one Constraints per prefix is needed, found {len(constraints)} for {len(prefixes)} prefixes")
    if not prefixes:
        return []
    beams, logits = open_beams(teacher, prefixes, settings.max_new_tokens)
    vocabulary = read_vocabulary(teacher.tokenizer, logits.shape[-1], sentences=sentences)
    automata = compile_constraints(constraints, teacher.tokenizer, vocabulary.continues, logits.device)

    def decode(token_ids: list[int]) -> str:
        return str(teacher.tokenizer.decode(token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    search = Search(settings, vocabulary, automata, returned, decode)
    search.run(beams, logits)
    return [endings.best() for endings in search.endings]


class Search:
    """The search for one batch; `run` leaves what it found in `endings`, one per prefix."""

    def __init__(
        self, settings: NeuroLogic, vocabulary: Vocabulary, automata: Automata, returned: int, decode: Callable[[list[int]], str]
    ) -> None:
        device = automata.required.device
        self.settings, self.vocabulary, self.automata, self._decode = settings, vocabulary, automata, decode
        self.endings = [Endings(settings.length_penalty, count, returned) for count in automata.count.tolist()]
        self._least_end = math.log(settings.min_end_probability) if settings.min_end_probability > 0 else NONE
        self._open = list(range(len(self.endings)))  # prefixes still searched, in the order of the tensors' first dimension
        self._ends, self._stops, self._closes, banned, small = (
            which.to(device) for which in (vocabulary.ends, vocabulary.stops, vocabulary.closes, vocabulary.banned, vocabulary.small)
        )
        ids = (which.nonzero().flatten() for which in (self._ends, self._stops, banned, small))
        self._end_ids, self._stop_ids, self._banned_ids, self._small_ids = ids

    def run(self, beams: Beams, logits: Tensor) -> None:
        """From the logits of the first token, (n, 1, vocab), to the end."""
        n, device = len(self._open), logits.device
        hypotheses = Hypotheses(
            tokens=torch.zeros(n, 1, 0, dtype=torch.long, device=device),
            log_prob=torch.zeros(n, 1, device=device),
            match=self.automata.start(),
            undecided=torch.zeros(n, 1, dtype=torch.bool, device=device),
        )
        for length in range(1, self.settings.max_new_tokens + 1):
            table = self._table(logits, hypotheses, length)
            hypotheses = self._decide(hypotheses, table)
            candidates = self._candidates(table, hypotheses, length)
            candidates = self._finish(candidates, hypotheses)
            chosen = self._choose(beams, candidates, length)
            hypotheses = self._advance(hypotheses, chosen)
            best = hypotheses.log_prob.amax(1).tolist()
            going = [i for i, log_prob in enumerate(best) if log_prob > NONE and self._wants(i, log_prob)]
            if not going or length == self.settings.max_new_tokens:
                break
            if len(going) < len(best):
                hypotheses, chosen = self._retire(beams, going, hypotheses, chosen)
            logits = beams.step(chosen.parent, chosen.token)
        self._cut_off(hypotheses)

    def _table(self, logits: Tensor, hypotheses: Hypotheses, length: int) -> Tensor:
        """Log-probabilities of every next token, (n, rows, vocab), -inf where a token may not follow."""
        table = torch.log_softmax(logits, dim=-1, dtype=torch.float32)
        table.index_fill_(2, self._banned_ids, NONE)
        if length < self.settings.min_new_tokens:
            table.index_fill_(2, self._end_ids, NONE)
        if length == 1:
            table.index_fill_(2, self._small_ids, NONE)
        size, tokens = self.settings.no_repeat_ngram, hypotheses.tokens
        if 0 < size < length:
            runs = tokens.unfold(2, size, 1)  # (n, rows, length - size, size)
            last = tokens[:, :, None, length - size :]
            repeats = (runs[..., :-1] == last).all(-1)
            _forbid(table, runs[..., -1], repeats)
        if self.automata.any_forbidden:
            symbols = self.automata.symbols[:, None].expand(-1, table.shape[1], -1)
            _forbid(table, symbols, self.automata.forbidden(self.automata.follow(hypotheses.match, symbols)))
        return table

    def _decide(self, hypotheses: Hypotheses, table: Tensor) -> Hypotheses:
        """End the undecided hypotheses after whose stop the likeliest next token begins another sentence."""
        places = hypotheses.undecided.nonzero().tolist()
        if not places:
            return hypotheses
        over = []
        for i, row in places:
            token_ids = hypotheses.tokens[i, row].tolist()
            text = self.vocabulary.text(token_ids).rstrip()
            following = int(table[i, row].argmax())
            if following in self.vocabulary.end_of_text or scan(text + self.vocabulary.pieces[following], final=True).end == len(text):
                over.append((i, row))
                self._add(i, token_ids, float(hypotheses.log_prob[i, row]), int(hypotheses.match.met[i, row]))
        log_prob = hypotheses.log_prob.masked_fill(_marked(hypotheses.undecided, over), NONE)
        return hypotheses._replace(log_prob=log_prob)

    def _candidates(self, table: Tensor, hypotheses: Hypotheses, length: int) -> Candidates:
        """Steps 1 and 2."""
        n, rows, vocabulary = table.shape
        beam, alpha, beta = self.settings.beam_size, self.settings.prune_factor, self.settings.tolerance
        automata = self.automata

        # 1. Each row's best tokens, the stops, and the tokens that start or continue a phrase of an unmet clause.
        values, tokens = table.topk(min(max(beam, alpha or 0), vocabulary))
        step, token = values[..., :beam], tokens[..., :beam]
        asked = self._stop_ids.expand(n, rows, -1)
        useful = torch.ones_like(asked, dtype=torch.bool)
        if automata.any_required:
            symbols = automata.symbols[:, None].expand(-1, rows, -1)  # (n, rows, symbols)
            asked = torch.cat([asked, symbols], dim=2)
            new = ~self._stops[symbols] & automata.useful(automata.follow(hypotheses.match, symbols))
            useful = torch.cat([useful, new], dim=2)
        known = (asked[..., None] == token[:, :, None]).any(-1)
        step = torch.cat([step, table.gather(2, asked).masked_fill(known | ~useful, NONE)], dim=2)
        token = torch.cat([token, asked], dim=2)
        match = automata.follow(hypotheses.match, token)
        is_end = self._is_end(token, hypotheses.undecided[..., None])
        may_end = automata.is_met(match.met) & (step >= self._least_end)
        may_end[..., 0] = True  # the row's best token
        gone = is_end & ~may_end

        # 2. Pruning.
        log_prob = step + hypotheses.log_prob[..., None]
        if alpha is not None:
            least = (values + hypotheses.log_prob[..., None]).flatten(1).topk(min(alpha, values[0].numel())).values[:, -1]
            gone |= log_prob < least[:, None, None]
        log_prob = log_prob.masked_fill(gone, NONE)
        if beta is not None and automata.any_required:
            met = automata.count_met(match.met).masked_fill(log_prob == NONE, -1)
            log_prob = log_prob.masked_fill(met < met.amax((1, 2), keepdim=True) - beta, NONE)

        # 3. The score inside a group.
        score = log_prob / length
        if automata.any_required:
            score = score + self.settings.progress_weight * automata.reward(match)
        parent = torch.arange(rows, device=table.device)[None, :, None].expand(token.shape)
        fields = (parent, token, log_prob, score, is_end)
        parent, token, log_prob, score, is_end = (field.reshape(n, -1) for field in fields)
        return Candidates(parent, token, log_prob, Match(*(field.reshape(n, -1) for field in match)), score, undecided=is_end)

    def _finish(self, candidates: Candidates, hypotheses: Hypotheses) -> Candidates:
        """Take out the candidates whose text ends here; of those that may, only the `beam_size` likeliest are looked at."""
        is_end = candidates.undecided
        ending = torch.where(is_end, candidates.log_prob, NONE)
        best = ending.topk(min(self.settings.beam_size, ending.shape[1]))
        prefix, place = (best.values > NONE).nonzero().unbind(1)
        index = best.indices[prefix, place]
        token_ids = torch.cat([hypotheses.tokens[prefix, candidates.parent[prefix, index]], candidates.token[prefix, index, None]], dim=1)
        columns = (prefix, index, token_ids, candidates.log_prob[prefix, index], candidates.match.met[prefix, index])
        living, undecided = [], []
        for i, where, ids, log_prob, met in zip(*(column.tolist() for column in columns), strict=True):
            verdict = self._verdict(ids)
            if verdict is _Verdict.ENDS:
                if self.endings[self._open[i]].wants(log_prob, len(ids)):
                    self._add(i, ids, log_prob, met)
            elif verdict is not _Verdict.TWO_SENTENCES:
                living.append((i, where))
                undecided += [(i, where)] * (verdict is _Verdict.UNDECIDED)
        return candidates._replace(undecided=_marked(is_end, undecided)).without(is_end & ~_marked(is_end, living))

    def _verdict(self, token_ids: list[int]) -> _Verdict:
        if token_ids[-1] in self.vocabulary.end_of_text:
            return _Verdict.ENDS
        text = self.vocabulary.text(token_ids).rstrip()
        seen = scan(text)
        if seen.end is not None:
            return _Verdict.ENDS if seen.end == len(text) else _Verdict.TWO_SENTENCES
        return _Verdict.GOES_ON if seen.settled else _Verdict.UNDECIDED

    def _choose(self, beams: Beams, candidates: Candidates, length: int) -> Candidates:
        """Steps 3 and 4; with look-ahead, in two rounds."""
        size = self.settings.beam_size
        if not self.automata.any_required:
            score = candidates.score.masked_fill(candidates.log_prob == NONE, NONE)
            return candidates.take(score.topk(min(size, score.shape[1])).indices)
        if self.settings.look_ahead and length < self.settings.max_new_tokens:
            candidates = candidates.take(fill(candidates, 2 * size))
            candidates = self._look_ahead(beams.fork(), candidates)
        return candidates.take(fill(candidates, size))

    def _look_ahead(self, beams: Beams, candidates: Candidates) -> Candidates:
        """Add what greedy continuations promise for the unmet clauses."""
        automata, match, parent, token = self.automata, candidates.match, candidates.parent, candidates.token
        promise = torch.full_like(candidates.score, NONE)
        over = torch.zeros_like(candidates.undecided)
        symbols = automata.symbols[:, None].expand(-1, token.shape[1], -1)
        for _ in range(self.settings.look_ahead):
            table = torch.log_softmax(beams.step(parent, token), dim=-1, dtype=torch.float32)
            table.index_fill_(2, self._banned_ids, NONE)
            useful = automata.useful(automata.follow(match, symbols)) & ~over[..., None]
            promise = torch.maximum(promise, table.gather(2, symbols).masked_fill(~useful, NONE).amax(-1))
            token = table.argmax(-1)
            over = over | self._ends[token]
            match = Match(*(field[..., 0] for field in automata.follow(match, token[..., None])))
            parent = torch.arange(token.shape[1], device=token.device).expand_as(token)
        promise = torch.where(automata.is_met(candidates.match.met), 0.0, promise.clamp(min=_LEAST_PROMISE))
        return candidates._replace(score=candidates.score + self.settings.look_ahead_weight * promise)

    def _is_end(self, token: Tensor, undecided: Tensor) -> Tensor:
        return self._ends[token] | (self._closes[token] & undecided)

    def _add(self, i: int, token_ids: list[int], log_prob: float, met: int, *, finished: bool = True) -> None:
        endings = self.endings[self._open[i]]
        text = self._decode(token_ids).strip()
        endings.add(Constrained(text, tuple(token_ids), log_prob, met.bit_count(), endings.clauses, finished))

    def _wants(self, i: int, best_log_prob: float) -> bool:
        return self.endings[self._open[i]].wants(best_log_prob, self.settings.max_new_tokens)

    def _advance(self, hypotheses: Hypotheses, chosen: Candidates) -> Hypotheses:
        history = torch.take_along_dim(hypotheses.tokens, chosen.parent[..., None], dim=1)
        tokens = torch.cat([history, chosen.token[..., None]], dim=2)
        return Hypotheses(tokens, chosen.log_prob, chosen.match, chosen.undecided)

    def _retire(self, beams: Beams, going: list[int], hypotheses: Hypotheses, chosen: Candidates) -> tuple[Hypotheses, Candidates]:
        """Go on with the prefixes `going` only."""
        rows = torch.tensor(going, device=chosen.token.device)
        beams.keep(rows)
        self.automata = self.automata.keep(rows)
        self._open = [self._open[i] for i in going]
        chosen = chosen.of(rows)
        return Hypotheses(hypotheses.tokens[rows], chosen.log_prob, chosen.match, chosen.undecided), chosen

    def _cut_off(self, hypotheses: Hypotheses) -> None:
        """Where too few texts ended, the living ones stand in."""
        for i, prefix in enumerate(self._open):
            if self.endings[prefix].lacks():
                columns = (hypotheses.tokens[i], hypotheses.log_prob[i], hypotheses.match.met[i])
                for token_ids, log_prob, met in zip(*(column.tolist() for column in columns), strict=True):
                    if log_prob > NONE:
                        self._add(i, token_ids, log_prob, met, finished=False)


def _forbid(table: Tensor, tokens: Tensor, which: Tensor) -> None:
    """-inf in place for `tokens` (n, rows, k) where `which`; without asking the device for the number of them."""
    table.scatter_reduce_(2, tokens, torch.where(which, NONE, math.inf).to(table.dtype), reduce="amin")


def _marked(like: Tensor, places: list[tuple[int, int]]) -> Tensor:
    """A bool tensor shaped like `like`, True at `places`."""
    marked = torch.zeros_like(like)
    if places:
        prefix, index = torch.tensor(places, device=like.device).unbind(1)
        marked[prefix, index] = True
    return marked
