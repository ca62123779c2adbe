"""The optimisation of one term: relax, certify, construct, search; and every answer made exact."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from fractions import Fraction

import numpy as np

from roofalloc.audit import FEASIBILITY, leaves_no_better, rounded_bound
from roofalloc.audit import bound as audit_bound
from roofalloc.errors import SolverError, UsageError
from roofalloc.instance import Term
from roofalloc.plan import Certificate
from roofalloc.problem import Choice, Decisions, Problem, Stage
from roofalloc.solvers import registry
from roofalloc.solvers.base import PASS, SMALL, Answer, Run, Solve, Stopped
from roofalloc.solvers.conflict import Conflict, beyond_all, explain
from roofalloc.solvers.model import covering, level_met
from roofalloc.solvers.relaxation import Prices, Relaxation, certificate, relax
from roofalloc.solvers.settle import floors_met, settle
from roofalloc.solvers.start import construct
from roofalloc.texts import _, text_of

from .journal import Journal, Known
from .outcome import believed

FEW_DRAWS = 2_000  # pairs of roof and source up to which money may be decided in whole fen
LARGE = 20_000  # columns; from here on a branch and bound needs a start to find anything at all


class TermSearch:
    """The optimisation of one term."""

    def __init__(self, problem: Problem, stage: Stage, run: Run, journal: Journal) -> None:
        self.problem, self.stage, self.journal = problem, stage, journal
        self.term = stage.term
        self.run = replace(run, report=self._report, cancelled=self._cancelled, certify=self._prove)
        self.decisions: Decisions | None = None
        self.score: Fraction | None = None
        self.search_bound: Fraction | None = None  # of the score
        self.certified: Fraction | None = None  # of the score, exact
        self.prices: Certificate | None = None  # that prove it
        self.stopped: Stopped = "proved"
        self.infeasible = False
        self.conflict: Conflict | None = None
        self.phase = "relax"
        if run.start is not None:
            self._offer(run.start)

    # --- what was found so far
    def _offer(self, decisions: Decisions | None) -> bool:
        if decisions is None:
            return False
        if not floors_met(self.problem, decisions.reached) or not level_met(
            self.problem, self.stage, decisions
        ):
            return False
        score = self.problem.score(self.term, decisions)
        if self.score is not None and score <= self.score:
            return False
        self.decisions, self.score = decisions, score
        self.know()
        self.journal.people = int((self.problem.people * decisions.reached).sum())
        self.journal.tell(self.phase, self.term.term, *self._figures(), improved=True)
        return True

    def know(self) -> None:
        """Have what is known of the term stand in the journal."""
        self.journal.know(
            Known(self.stage, self.decisions, self.score, self.search_bound, self.certified, self.prices)
        )

    def _cancelled(self) -> bool:
        """What a back end asks often: so this is also where the time in between is told."""
        if self.journal.due():
            self.journal.tell(self.phase, self.term.term, *self._figures())
        return self.journal.cancelled

    def _report(self, choice: Choice | Decisions | None, bound: float | None) -> None:
        if bound is not None:
            self._bound(bound)
        improved = False
        if isinstance(choice, Decisions):
            improved = self._offer(choice)
        elif choice is not None:
            improved = self._offer(settle(self.problem, choice, self.stage))
        if not improved:
            self.journal.tell(self.phase, self.term.term, *self._figures())

    def _bound(self, score: float) -> None:
        """Take a float bound in, pushed outward by more than its rounding."""
        if not math.isfinite(score):
            return
        bound = Fraction(score) + Fraction(1, 10**9) * max(Fraction(1), abs(Fraction(score)))
        if self.search_bound is None or bound < self.search_bound:
            self.search_bound = bound
            self.know()

    def _figures(self) -> tuple[float | None, float | None]:
        sign = -1 if self.term.minimised else 1
        bounds = [b for b in (self._search_bound(), self.certified) if b is not None]
        value = None if self.score is None else float(sign * self.score)
        return value, float(sign * min(bounds)) if bounds else None

    def _closed(self, bound: Fraction | None) -> bool:
        if bound is None or self.decisions is None:
            return False
        value = self.problem.value(self.term, self.decisions)
        return leaves_no_better(self.problem.instance, self.term.term, value, self._reported(bound))

    def _reported(self, score_bound: Fraction) -> Fraction:
        """A bound on the score as a plan reports it."""
        return rounded_bound(self.problem.instance, self.term.term, score_bound)

    # --- the steps
    def proved_by(self, proof: Certificate | None) -> bool:
        """Have an earlier certificate evaluated again; whether it leaves nothing to be done."""
        if proof is None or self.decisions is None:
            return False
        try:
            self._certify(proof)
        except UsageError as error:  # it is none of this instance
            said = _("an earlier certificate proves nothing: {error}", error=text_of(error))
            self.journal.messages.append(said)
            return False
        if not self._closed(self.certified) and not self._within_gap():
            return False
        self.stopped = "proved" if self._closed(self.certified) else "gap"
        return True

    def watch(self, search: Solve) -> None:
        """Let a variant that works alone search, and add nothing to what it finds."""
        if self._refuse():
            return
        self.phase = "search"
        self._certify(Certificate(self.term.term))  # everybody reached, nothing spent
        answer = self._search_in_fen(search, search)
        if self.decisions is None and not self.infeasible:
            self._offer(nothing(self.problem, self.stage))
        self._conclude(answer)

    def follow(self, lead: Solve) -> bool:
        """Let a variant lead: its prices certify, its plans are offered; whether that is all to be done."""
        if self._refuse():
            return True
        self.phase = "search"
        answer = self._search(lead, self.run)
        if answer is PASS:
            return False
        if answer.infeasible:
            answer = self._explain_infeasible(answer)
        if self.infeasible:
            return True
        if self.certified is None:  # stopped before its prices came: everybody reached, nothing spent
            self._certify(Certificate(self.term.term))
        if self.decisions is None:
            self._construct(None, self.run)
        if self.decisions is None:
            self._offer(nothing(self.problem, self.stage))
        self._conclude(answer)
        return True

    def solve(self, search: Solve) -> None:
        """Relax, certify, construct; then let a variant search."""
        if self._refuse():
            return
        large = self.problem.n_options + self.problem.n_classes + len(self.problem.arc_tail) >= LARGE
        if large and self.decisions is None:
            self.phase = "start"
            self._construct(None, self._until(0.3))
        if not self.problem.n_options:
            self._offer(nothing(self.problem, self.stage))
        self.phase = "relax"
        relaxation = relax(self.problem, self.stage, self._until(0.5))
        self._certify(Certificate(self.term.term))  # everybody reached, nothing spent: never less is known
        if relaxation is not None:
            self.run = replace(self.run, hosting=relaxation.hosting)
            self._certify(certificate(self.problem, self.stage, relaxation.prices))
            if relaxation.whole and covering(self.problem):  # as it often is there: no search finds better
                choice = relaxation.model.choice(relaxation.vector)
                self._offer(settle(self.problem, choice, self.stage))
        if large and relaxation is not None and not self._closed(self.certified):
            self.phase = "start"
            self._construct(relaxation, self._until(0.7))
        if self._closed(self.certified) or self._within_gap():
            self.stopped = "proved" if self._closed(self.certified) else "gap"
            return
        self.phase = "search"
        answer = self._search_in_fen(search, registry.load(registry.get("highs")))
        if not self.infeasible:
            early = answer.stopped not in ("proved", "gap")
            if self.decisions is None or (early and not large):
                self._construct(relaxation, self.run)
            if self.decisions is None:
                self._offer(nothing(self.problem, self.stage))
        self._conclude(answer)

    def _construct(self, relaxation: Relaxation | None, run: Run) -> None:
        for found in construct(self.problem, self.stage, relaxation, run):
            self._offer(found)

    def _conclude(self, answer: Answer) -> None:
        """Say why the term's search has stopped; what is closed is proved, whatever stopped it."""
        self.stopped = answer.stopped
        if self._closed(self._best_bound()):
            self.stopped = "proved"
        elif self.stopped == "proved" and not self.infeasible:
            self.stopped = "gap"

    def _search_in_fen(self, search: Solve, exact: Solve) -> Answer:
        """Let the variant search; where it is small, and a fen that the search did not see keeps it open,
        have it decided once more in whole fen by one that can."""
        answer = self._search_reserved(search)
        if self._open_by_rounding(answer):
            self.run = replace(self.run, fen=True)
            answer = self._search(exact, self.run)
        return self._explain_infeasible(answer) if answer.infeasible else answer

    def _search_reserved(self, search: Solve) -> Answer:
        """Let the variant search; and again with the reserve, where whole fen cannot keep what it decided."""
        answer = self._search(search, self.run)
        if not answer.infeasible and self.decisions is None and answer.stopped == "proved":
            reserved = self._search(search, replace(self.run, reserve=True))
            stopped: Stopped = reserved.stopped if reserved.stopped in ("time", "cancelled") else "gap"
            return Answer(reserved.choice, None, stopped)
        if answer.stopped in ("proved", "gap") and not self._closed(self._best_bound()):
            self._search_again(search, answer)
        return answer

    def _search(self, search: Solve, run: Run) -> Answer:
        """Let the variant search; a failure of its own keeps what was found."""
        if run.seconds_left <= 0 or run.cancelled():
            return Answer(None, None, "cancelled" if run.cancelled() else "time")
        if run.reserve:  # what is reported of bounds then is true of less than the problem
            run = replace(run, report=lambda choice, bound: self._report(choice, None))
        try:
            answer = search(self.problem, self.stage, replace(run, start=self.decisions))
            if answer.choice is not None:
                self._offer(settle(self.problem, answer.choice, self.stage))
        except UsageError:
            raise
        except (SolverError, MemoryError) as error:
            answer = Answer(None, None, "failed", message=str(error))
        except Exception as error:  # of a back end or a plug-in: no reason to lose what was found
            answer = Answer(None, None, "failed", message=f"{type(error).__name__}: {error}")
        if answer.message:
            self.journal.messages.append(answer.message)
        if answer.bound is not None and not run.reserve:
            self._bound(answer.bound)
            if answer.stopped == "proved" and self._attained(answer.bound):
                self.search_bound = self.score
                self.know()
        return answer

    def _attained(self, bound: float) -> bool:
        """Whether the best plan is worth as much as a bound, but for the rounding of doubles."""
        if self.score is None or not math.isfinite(bound):
            return False
        return abs(Fraction(bound) - self.score) <= Fraction(1, 10**11) * max(Fraction(1), abs(self.score))

    def _search_again(self, search: Solve, answer: Answer) -> None:
        """The float answer was better than what whole fen can pay: search where rounding always works."""
        if answer.choice is None or self.score is None or not self.problem.reserve.any():
            return
        if promised(self.problem, self.term, answer.choice) > self.score:
            self._search(search, replace(self.run, reserve=True))

    def _open_by_rounding(self, answer: Answer) -> bool:
        searched = answer.stopped in ("proved", "gap") and not answer.infeasible
        return searched and self._few_fen() and not self._closed(self._best_bound())

    def _few_fen(self) -> bool:
        """Whether a fen may decide what doubles do not see, and money is little enough to be decided in fen:
        debt is rounded over several sources, or a tolerance is more than a fen beside large needs."""
        small = self.problem.n_options + self.problem.n_classes < SMALL
        return bool(self.problem.n_draws <= FEW_DRAWS and (small or self.problem.reserve.any()))

    def _until(self, share: float) -> Run:
        if self.run.deadline is None:
            return self.run
        return replace(self.run, deadline=time.monotonic() + share * self.run.seconds_left)

    def _within_gap(self) -> bool:
        value, bound = self._figures()
        if value is None or bound is None:
            return False
        small = self.problem.n_options + self.problem.n_classes < SMALL
        return not small and abs(bound - value) <= self.run.gap * max(1.0, abs(value))

    def _best_bound(self) -> Fraction | None:
        bounds = [b for b in (self._search_bound(), self.certified) if b is not None]
        return min(bounds, default=None)

    def _search_bound(self) -> Fraction | None:
        return believed(self.problem, self.term, self.search_bound, self.score)

    def _prove(self, proof: Prices | Certificate) -> float | None:
        if not isinstance(proof, Certificate):
            proof = certificate(self.problem, self.stage, proof)
        self._certify(proof)
        return None if self.certified is None else float(self.certified)

    def _certify(self, prices: Certificate) -> None:
        """Have the auditor evaluate prices; keep them where they prove more than what is known."""
        values = tuple(h.value for h in self.stage.held)
        bound = audit_bound(self.problem.instance, prices, values)
        if not isinstance(bound, Fraction):
            return  # some roof that must be built cannot be: the search will say so
        if self.certified is None or bound < self.certified:
            self.certified, self.prices = bound, prices
            self.know()

    def _refuse(self) -> bool:
        """Take in what needs no solver to be refused."""
        self.conflict = beyond_all(self.problem)
        self.infeasible = self.conflict is not None
        return self.infeasible

    def _explain_infeasible(self, answer: Answer) -> Answer:
        """Believe a variant that says nothing is possible where no plan refutes it and something is short."""
        if self.decisions is None:
            self.conflict = explain(self.problem, self.stage, self.run)
            if self.conflict.shortfall == 0 and self._few_fen():  # a fen that no double sees may be short
                self.run = replace(self.run, fen=True)
                self.conflict = explain(self.problem, self.stage, self.run)
            self.infeasible = self.conflict.shortfall != 0
        if self.infeasible:
            self._prove_infeasible()
            return answer
        message = _("the solver says that nothing is possible, but something is")
        self.journal.messages.append(message)
        return Answer(None, None, "failed", message=message)

    def _prove_infeasible(self) -> None:
        self.prices = None  # what the relaxation proved of the term says nothing now
        assert self.conflict is not None
        if self.conflict.prices is None:
            return
        prices = certificate(self.problem, self.stage, self.conflict.prices)
        proof = replace(prices, term=FEASIBILITY, roofs={})  # links are worth nothing here
        values = tuple(h.value for h in self.stage.held)
        if audit_bound(self.problem.instance, proof, values) < 0:
            self.prices = proof


def promised(problem: Problem, term: Term, choice: Choice) -> Fraction:
    """What a choice would score if all that it decides could be paid."""
    none = np.zeros(0, np.int64)
    paying = none if choice.links is None else choice.links[choice.links].astype(np.int64)
    return problem.score(term, Decisions(choice.option, choice.reached, none, none, none, paying))


def nothing(problem: Problem, stage: Stage) -> Decisions | None:
    """Doing nothing, where that is a plan: roofs that stand already, and nobody paid by need."""
    nobody = np.zeros(problem.n_classes, np.int64)
    option = np.full(problem.n_roofs, -1, np.int64)
    operating = problem.must & ~problem.new
    option[operating] = problem.option_ptr[:-1][operating]
    links = np.zeros(len(problem.pairs[0]), bool) if problem.needs_pairs else None
    return settle(problem, Choice(option, nobody, None, links), stage)
