"""What several meals of one account, service and day cost.

All are booked. Where the town's rule is `give_back`, the first standing meal is paid and the others
are given back. The sum given back depends only on the meals that stand, so a storno, a later card
or a new rule corrects it, in any order of arrival.
"""

from agent.central.books import meals
from agent.central.books.database import Books
from agent.central.books.facts import Wanted
from agent.central.books.meals import Serving
from agent.central.books.postings import Posting
from agent.central.page import Page
from agent.central.paging import compute
from agent.central.verdict import SECOND_REASON
from agent.domain.clock import Day, Instant


def settle(page: Page) -> None:
    """Settle the page's servings: give back all but the first standing meal, or take it back."""
    page.need(Wanted(servings=page.servings))
    for serving in sorted(page.servings):
        _settle(page, serving)


def _settle(page: Page, serving: Serving) -> None:
    gives_back = page.gives_back(serving.day)
    has_first = False
    for meal in page.meals_of(serving):
        assert meal.cents is not None
        is_second = has_first and not page.is_undone(meal.key)
        has_first = has_first or not page.is_undone(meal.key)
        reasons = meal.reason.split("; ") if meal.reason else []
        # it came first, or its day was not known, when it was judged
        if is_second and SECOND_REASON not in reasons:
            reason = "; ".join([*reasons, SECOND_REASON])
            page.remark(meal._replace(status="flagged", reason=reason))
        wanted_cents = -meal.cents if is_second and gives_back else 0
        given_cents = page.given_back_cents(meal.key)
        if wanted_cents != given_cents:
            posting = Posting(
                account=serving.account,
                cents=wanted_cents - given_cents,
                kind="double_meal",
                at=page.at,
                reason=f"{serving.service} of {serving.day} is paid once",
                entry=meal.key,
            )
            page.post(posting)


def settle_from(books: Books, from_day: Day, *, at: Instant) -> None:
    """Settle all servings of a day and later: the rule for double meals has changed."""
    servings = set(meals.servings_with_several(books, from_day))

    def rule(page: Page) -> None:
        page.servings |= servings
        settle(page)

    compute(books, at, Wanted(servings=servings), rule)
