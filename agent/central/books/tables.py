"""The tables of the books, as SQLAlchemy knows them. The queries of this room are built from them.

An account's balance is the sum of its postings and nothing else. The column `balance` moves in the
same transaction as a posting, and `canteen-central check` computes it again.

Entries are stored as they came, in a tree: an entry's parent is the entry whose hash it covers. So
a terminal's ledger is a path, a restored disk is a branch, and the same entry twice is one row.

Rules of the tables themselves, as triggers and checks, are in `migrations/`, which make them. A
test compares both on each engine. Texts are compared byte by byte on both.
"""

from sqlalchemy import BigInteger, Column, Identity, Integer, LargeBinary, MetaData, Table, Text

TEXT = Text().with_variant(Text(collation="C"), "postgresql")
INTEGER = BigInteger().with_variant(Integer(), "sqlite")
BYTES = LargeBinary()

METADATA = MetaData()


def _text(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, TEXT, primary_key=key, nullable=False)


def _text_or_null(name: str) -> Column[str]:
    return Column(name, TEXT)


def _integer(name: str, *, key: bool = False, default: str | None = None) -> Column[int]:
    return Column(
        name,
        INTEGER,
        primary_key=key,
        nullable=False,
        autoincrement=False,
        server_default=default,
    )


def _number() -> Column[int]:
    """Return the column of a table whose rows are numbered as they come."""
    return Column("n", INTEGER, Identity(), primary_key=True)


central = Table(  # one row
    "central",
    METADATA,
    _integer("id", key=True),
    _text("town"),
    _text("zone"),
    _text("generation"),  # the present generation of this database
    _integer("position"),  # counts every change of a record
    _integer("labels", default="0"),  # 1 while the policy in effect sends labels
    _text_or_null("leader"),  # the process that serves this town, on PostgreSQL
)
generation = Table(  # of this database, and those that terminals named
    "generation", METADATA, _text("id", key=True), _text("since"), _text("reason")
)

terminal = Table(
    "terminal",
    METADATA,
    _text("id", key=True),
    _text_or_null("site"),  # NULL: retired, receives no record
    _integer("orders", default="0"),  # the number of its newest order
    _text_or_null("order_id"),  # the order that waits
    _text_or_null("order_do"),
    _integer("then_resync", default="0"),  # 1: the waiting order replaced a resync
    _integer("forked", default="0"),  # 1: two entries had the same number
    _text_or_null("hello_at"),
    _text_or_null("hello"),  # its newest hello, as it came
    _text_or_null("state"),  # its newest state, as it came
)
chain = Table(  # how far an epoch of a terminal is acknowledged
    "chain",
    METADATA,
    _text("terminal", key=True),
    _text("epoch", key=True),
    _integer("seq"),
    _text("hash"),
    _integer("oldest"),  # the first entry it still keeps, by its newest hello
    _integer("seen"),  # the order in which epochs were first seen
)

account = Table(
    "account",
    METADATA,
    _text("id", key=True),
    _text("site"),
    _text("category"),
    _text("status"),
    _text_or_null("class"),
    _text_or_null("label"),
    _text_or_null("dish"),
    _integer("balance"),  # cents; the sum of its postings
    _integer("p"),  # position of its newest change, as in every record
    _text_or_null("family"),  # accounts of a family get one letter and one yearly statement
)
price = Table(
    "price",
    METADATA,
    _text("account", key=True),
    _text("service", key=True),
    _text("from_day", key=True),
    _integer("cents"),
)
card = Table(
    "card",
    METADATA,
    _text("token", key=True),
    _text("account"),
    _text("status"),
    _integer("p"),
)
policy = Table(
    "policy",
    METADATA,
    _text("from_day", key=True),
    _text("body"),  # the record's JSON without k and p
    _text("double_meal"),
    _integer("p"),
)
service = Table(
    "service",
    METADATA,
    _text("site", key=True),
    _text("id", key=True),
    _text("body"),  # the record's JSON without k and p
    _integer("p"),
)
tombstone = Table(  # records that a site must delete
    "tombstone",
    METADATA,
    _text("site", key=True),
    _text("kind", key=True),
    _text("id", key=True),
    _integer("p"),
)

entry = Table(  # every entry of every terminal; none is rejected
    "entry",
    METADATA,
    _text("terminal", key=True),
    _text("epoch", key=True),
    _integer("seq", key=True),
    _text("hash", key=True),
    _text("prev"),  # hash of its parent
    _text("kind"),
    _text_or_null("at"),
    _text_or_null("boot"),
    Column("mono_ms", INTEGER),
    _text_or_null("clock"),
    _text_or_null("service"),
    _text_or_null("card"),
    _text_or_null("true_at"),  # at; corrected, or NULL, if its clock was wrong
    _text_or_null("true_day"),
    _text_or_null("account"),  # the account it was booked to
    Column("cents", INTEGER),  # the cents booked; NULL if nothing was
    _text_or_null("undoes_epoch"),  # a storno's meal
    Column("undoes_seq", INTEGER),
    _text_or_null("undoes_hash"),
    _text("status"),
    _text("reason"),
    _text("body"),  # as it came
    # 1: the time is confirmed, by the entry itself or by another one of its boot
    _integer("dated", default="0"),
)
boot = Table(  # the newest confirmed time of each boot
    "boot",
    METADATA,
    _text("terminal", key=True),
    _text("boot", key=True),
    _text("at"),
    _integer("mono_ms"),
)
remark = Table(  # entries whose remark changed after booking
    "remark",
    METADATA,
    _text("terminal", key=True),
    _text("epoch", key=True),
    _integer("seq", key=True),
    _text("hash", key=True),
    _integer("p"),  # position of that change
)

posting = Table(  # every movement of every account
    "posting",
    METADATA,
    _number(),
    _text("account"),
    _integer("cents"),
    _text("kind"),
    _text("at"),  # when the central booked it
    _text_or_null("channel"),  # of a payment
    _text_or_null("external"),  # the payment's id in its channel
    _text_or_null("terminal"),  # of an entry
    _text_or_null("epoch"),
    Column("seq", INTEGER),
    _text_or_null("hash"),
    _text("reason"),
)

set_aside = Table(  # messages that could not be used
    "set_aside",
    METADATA,
    _number(),
    _text("at"),
    _text("topic"),
    _integer("bytes"),  # of the whole payload
    Column("payload", BYTES, nullable=False),  # its beginning
    _text("reason"),
)
incident = Table(  # what the office or a technician should know
    "incident",
    METADATA,
    _number(),
    _text("at"),
    _text_or_null("terminal"),
    _text_or_null("epoch"),
    _text("kind"),
    _text("detail"),
)

reference = Table(  # given out before a payment can name it
    "reference",
    METADATA,
    _text("id", key=True),  # the IUV of a notice, the code of an order
    _text_or_null("notice"),  # the notice number; NULL for an order
    _text("root"),  # the notice that an order pays, else id
    _integer("cents"),
    _text("at"),  # when it was given out
)
share = Table(  # what each account gets of a root's payment
    "share",
    METADATA,
    _text("reference", key=True),
    _text("account", key=True),
    _integer("cents"),
)
payment = Table(  # every payment that a door reported
    "payment",
    METADATA,
    _number(),
    _text("channel"),
    _text("external"),  # its id in its channel
    _text("reference"),  # as it came; it may be unknown
    _integer("cents"),
    _text_or_null("paid_at"),  # as its channel states it
    _text("at"),  # when it first came
    _text("state"),
    _text("reason"),  # why it is parked or failed; the office's words
)
arrival = Table(  # every message that reported a payment, as it came
    "arrival",
    METADATA,
    _number(),
    _integer("payment"),
    _text("at"),
    _text("sha256"),
    Column("body", BYTES),  # NULL: an earlier arrival has the same bytes
    _text("result"),
)
flow = Table(  # settlement flows, each revision once
    "flow",
    METADATA,
    _text("id", key=True),
    _text("revision", key=True),  # the time that the flow states of itself
    _text("day"),  # of the transfer to the treasury
    _integer("cents"),
    _text("at"),
    _text("sha256"),
)
flow_row = Table(  # the rows of each flow's newest revision
    "flow_row",
    METADATA,
    _text("flow", key=True),
    _integer("n", key=True),
    _text("iuv"),
    _text("external"),  # the key that its receipt has
    _integer("cents"),
    _text("outcome"),
    _text("day"),
)
treasury_sum = Table(  # sums that arrived at the treasury
    "treasury_sum",
    METADATA,
    _integer("year", key=True),
    _text("number", key=True),
    _text("day"),
    _integer("cents"),
    _integer("undone"),  # 1: the treasury undid it
    _text("reason"),  # without blanks: the treasury's programs add them
)

certificate = Table(  # every certificate that a terminal received
    "certificate",
    METADATA,
    _text("serial", key=True),  # hex digits
    _text("terminal"),
    _text("pem"),
    _text("at"),
    _text("until"),
    _text_or_null("revoked_at"),
)
enrolment = Table(  # one-time codes; the secret itself is not kept
    "enrolment",
    METADATA,
    _text("secret", key=True),  # its SHA-256 in hex digits
    _text("terminal"),
    _text("at"),
    _text("until"),
    _text_or_null("used_at"),
    _text_or_null("key"),  # SHA-256 of the key of the box that used it
    _text_or_null("serial"),  # of the certificate that it gave
)
