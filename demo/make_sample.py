"""Writes the roster of Borgofiorito, a fictitious town.

Run it with `python -m demo.make_sample > demo/borgofiorito.csv`.
"""

import csv
import sys

NAMES = [
    "Alba",
    "Bruno",
    "Carla",
    "Dino",
    "Elda",
    "Furio",
    "Gaia",
    "Ivo",
    "Lia",
    "Milo",
    "Nora",
    "Olmo",
    "Pia",
    "Rino",
    "Sara",
    "Tito",
    "Ugo",
    "Vera",
    "Zeno",
    "Ada",
    "Berto",
    "Cleo",
    "Dora",
    "Ennio",
    "Fede",
    "Gigi",
    "Ilda",
    "Lino",
    "Mara",
    "Nino",
    "Oria",
    "Piero",
    "Rosa",
    "Silvio",
    "Tina",
    "Ulla",
    "Vito",
    "Wanda",
    "Zara",
    "Aldo",
]


def main() -> None:
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(["account", "site", "category", "class", "label", "dish", "cards", "prices"])
    for n, name in enumerate(NAMES):
        exempt = n % 7 == 3
        first, later = ("0.00", "0.00") if exempt else ("3.66", "3.80")
        # The first twenty have contactless cards, the others 125 kHz tags. A contactless card's UID
        # has seven bytes, but every tenth has four.
        card = f"a:04b0a1{n:02x}c2d3e4" if n < 20 else f"em:01006a{n:02x}ae"
        if n < 20 and n % 10 == 9:
            card = f"a:1c78f2{n:02x}"
        label = f"{name} {chr(65 + n % 26)}."
        prices = f"lunch 2026-09-01 {first} | lunch 2027-01-01 {later}"
        rows.writerow(
            [
                f"a-{1001 + n}",
                "primaria",
                "pupil",
                f"{1 + n // 8}A",
                label,
                "veg" if n % 9 == 4 else "",
                card,
                prices,
            ]
        )
    for n, name in enumerate(("Maestra", "Cuoca")):
        rows.writerow(
            [
                f"s-{1 + n}",
                "primaria",
                "staff",
                "",
                f"{name} {chr(65 + n)}.",
                "",
                f"em:02006a{n:02x}ff",
                "lunch 2026-09-01 0.00",
            ]
        )


if __name__ == "__main__":
    main()
