"""What several meals of one account, service and day cost.

All are booked. Where the town's rule is `give_back`, the first standing meal is paid and the others
are given back. The sum given back depends only on the meals that stand, so a storno, a later card
or a new rule corrects it, in any order of arrival.
"""

from agent.central.books import entries, meals, postings, rules
from agent.central.books.file import Books
from agent.central.books.meals import Serving
from agent.central.books.postings import Posting
from agent.central.verdict import SECOND_REASON
from agent.domain.clock import Day, Instant


def settle(books: Books, serving: Serving, *, at: Instant) -> None:
    """Give back all but the first standing meal of a serving, or take back what was given."""
    gives_back = rules.double_meal_on(books, serving.day) == rules.GIVE_BACK
    has_first = False
    for meal in meals.of_serving(books, serving):
        is_second = meal.stands and has_first
        has_first = has_first or meal.stands
        # it came first, or its day was not known, when it was judged
        if is_second and SECOND_REASON not in meal.reason.split("; "):
            entries.flag(books, meal.key, SECOND_REASON)
        wanted_cents = -meal.cents if is_second and gives_back else 0
        if wanted_cents != meal.given_back_cents:
            posting = Posting(
                account=serving.account,
                cents=wanted_cents - meal.given_back_cents,
                kind="double_meal",
                at=at,
                reason=f"{serving.service} of {serving.day} is paid once",
                entry=meal.key,
            )
            postings.post(books, posting)


def settle_from(books: Books, from_day: Day, *, at: Instant) -> None:
    """Settle all servings of a day and later: the rule for double meals has changed."""
    for serving in meals.servings_with_several(books, from_day):
        settle(books, serving, at=at)
