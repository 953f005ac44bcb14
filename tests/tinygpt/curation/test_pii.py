"""pii.py: what is planted is found, what looks like it is not."""

import random
from collections import Counter

import pytest

from tinygpt.curation.judging import EXCERPT, excerpt
from tinygpt.curation.pii import LENGTHS, luhn, mod97, redact

SAID = ["Contact: {} today.", "Her data, {}, stood there.", "({})", "see {}", "{}\nand more"]
CALLS = ["Tel. {}", "phone: {} today", "Call us at {}.", "Telefon: {}", "tél : {}", "fax {}"]
# National and international forms of twenty countries, "9" any digit.
PHONES = [
    "+49 30 9999999", "+49 (0)89 999999", "+33 1 99 99 99 99", "06 99 99 99 99",
    "+44 20 7999 9999", "020 7999 9999", "+1 212-555-9999", "(415) 555-9999", "415-555-9999",
    "+39 06 9999 9999", "+34 699 999 999", "+351 21 999 9999", "+31 20 999 9999",
    "+46 8 999 999 99", "+48 99 999 99 99", "+420 999 999 999", "+36 1 999 9999",
    "+30 21 9999 9999", "+90 212 999 99 99", "+7 495 999-99-99", "+91 98999 99999",
    "+81 3-9999-9999", "+82 2-999-9999", "+86 10 9999 9999", "+55 11 99999-9999",
    "+52 55 9999 9999", "+254 799 999999", "+234 803 999 9999", "+27 21 999 9999",
    "+62 21 9999999",
]
NUMBERED = [  # after a word that says so
    "030 9999999", "699 999 999", "9999-9999", "91 999 99 99", "0803 999 9999",
]
DECOYS = [
    "ISBN 978-3-16-148410-0", "ISBN 0-306-40615-2", "version 1.2.3.4", "v2.10.3", "10.0.0.1",
    "127.0.0.1", "192.168.1.20", "2019-03-04", "04.03.2019", "12/24/1999", "1939-1945",
    "3.14159265358", "550e8400-e29b-41d4-a716-446655440000",
    "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "52.520008, 13.404954", "doi:10.1000/182",
    "1,234,567 people", "12 345 678", "@home", "a@b", "4111 1111 1111 1112",
    "DE00 1234 5678 9012 3456 78", "12:34:56", "00:1B:44:11:3A:B7", "1000000000",
    "order 4711-0815-2342", "Section 1.2.3.4", "pp. 123-145", "#12345678", "x = 123456789;",
    "C++11",
]


def digits(pattern, rng):
    return "".join(str(rng.randrange(10)) if c == "9" else c for c in pattern)


def card(rng):
    length, start = rng.choice([(16, "4"), (16, "51"), (15, "37"), (16, "6011")])
    body = start + "".join(str(rng.randrange(10)) for _ in range(length - len(start) - 1))
    whole = next(body + str(d) for d in range(10) if luhn(body + str(d)))
    cut = [whole[i : i + 4] for i in range(0, 16, 4)]
    return rng.choice([whole, " ".join(cut), "-".join(cut)])


def iban(rng):
    country = rng.choice(sorted(LENGTHS))
    body = "".join(str(rng.randrange(10)) for _ in range(LENGTHS[country] - 4))
    whole = next(f"{country}{n:02}{body}" for n in range(2, 99) if mod97(f"{country}{n:02}{body}"))
    return rng.choice([whole, " ".join(whole[i : i + 4] for i in range(0, len(whole), 4))])


def address(rng):
    name = rng.choice(["jo", "maria.lopez", "a+b", "x_y", "o'neil", "müller", "иван", "n-1"])
    places = ["example.com", "mail.example.co.uk", "bücher.example", "uni-x.edu", "пример.рф"]
    place = rng.choice(places)
    return f"{name}{rng.randrange(99)}@{place}"


def internet(rng):
    if rng.random() < 0.3:
        return f"2001:{rng.randrange(0x470, 0x5FF):x}::{rng.randrange(1, 65535):x}"
    parts = [rng.choice([8, 81, 193]), *(rng.randrange(1, 255) for _ in range(3))]
    return ".".join(map(str, parts))


PLANTED = {"CARD": card, "IBAN": iban, "EMAIL": address, "IP": internet}


@pytest.mark.parametrize("kind", [*PLANTED, "PHONE"])
def test_what_is_planted_is_found(kind):
    rng, found, right, count = random.Random(kind), 0, 0, 400
    for _ in range(count):
        if kind == "PHONE":
            named = rng.random() < 0.3
            item = digits(rng.choice(NUMBERED if named else PHONES), rng)
            text = rng.choice(CALLS if named else SAID).format(item)
        else:
            item = PLANTED[kind](rng)
            text = rng.choice(SAID).format(item)
        made, kinds = redact(text)
        found += sum(kinds.values())
        right += kinds == {kind: 1} and made == text.replace(item, f"<{kind}>")
    recall, precision = right / count, right / found
    assert recall >= (0.90 if kind == "PHONE" else 0.99) and precision >= 0.95, (recall, precision)


def test_what_only_looks_like_it_stays():
    wrong = Counter(d for d in DECOYS for said in SAID if redact(said.format(d))[1])
    assert sum(wrong.values()) <= 0.05 * len(DECOYS) * len(SAID), wrong


@pytest.mark.parametrize("number", [
    "123-45-6789", "111.444.777-35", "44051401359", "10000000146", "2 55 08 14 168 025 38",
])
def test_national_numbers(number):
    assert redact(f"Her number is {number}.") == ("Her number is <ID>.", {"ID": 1})


def test_what_was_found_is_written_nowhere(tmp_path):
    from tests.tinygpt.curation.folders import prose
    from tinygpt.curation import curate

    (tmp_path / "in").mkdir()
    secret = "jane.doe@example.org"
    (tmp_path / "in/a.txt").write_text(f"{prose(1)}\n\nWrite to {secret}.")
    (tmp_path / "in/dropped.txt").write_text(f"Write to {secret}.")
    balance = curate(tmp_path / "in", tmp_path / "out")
    assert balance.removed["pii"] == len(secret) - len("<EMAIL>")
    assert all(secret.encode() not in p.read_bytes() for p in (tmp_path / "out").iterdir())


@pytest.mark.parametrize("before", [0, 1, EXCERPT - 9, EXCERPT - 1, 2 * EXCERPT, 4 * EXCERPT - 9])
@pytest.mark.parametrize("size", [0, 60, 9 * EXCERPT])
def test_an_excerpt_is_the_beginning_of_the_redacted_text(before, size):
    text = "word " * (before // 5) + " " * (before % 5) + "jane.doe@example.org " + "so on " * size
    assert excerpt(text) == redact(text)[0][:EXCERPT]


def test_the_excerpt_of_a_text_of_addresses_shows_none():
    text = f"{'j' * 400}@example.org " * 200
    assert excerpt(text) == redact(text)[0][:EXCERPT] == ("<EMAIL> " * 200)[:EXCERPT]
