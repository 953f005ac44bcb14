r"""What belongs to somebody: addresses, numbers of phones, cards, accounts. Replaced by their kind.

    <EMAIL>  <PHONE>  <IP>  <CARD>  <IBAN>  <ID>

A pattern proposes, a check decides: a card's number ends in the digit that Luhn's sum asks for, an
IBAN leaves 1 when it is divided by 97, an IP address is one that the internet routes. A phone's
number has no check, so what it is not decides: no date, no version, no ISBN, no part of a longer
code, and either a "+", brackets, or a word before it that says so. National numbers of persons
(<ID>) are found where their own check digit holds.

Nothing that is found is written anywhere: the account counts kinds.

Source: Luhn 1954 (US patent 2,950,048); ISO 13616 (IBAN); datatrove and dolma for the order.

Read next: ids.py.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable

from tinygpt.curation import ids

EMAIL = re.compile(
    r"(?<![\w.+%-])[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*"
    r"@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_]{2,24}(?![\w-])"
)
# What may not stand before is asked after the first character: a pattern that begins with a class
# of characters is searched for three times as fast as one that begins with a look behind.
IBAN = re.compile(
    r"[A-Z](?<![A-Za-z0-9].)[A-Z]\d{2}(?:[ ]?[A-Z0-9]){11,30}(?![A-Za-z0-9])", re.DOTALL
)
IPV4 = re.compile(r"\d(?<![\w.].)\d{0,2}\.(?:\d{1,3}\.){2}\d{1,3}(?!\w|\.\d)", re.DOTALL)
IPV6 = re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{1,4}(?![\w:])")
# Digits with what stands between those of a phone or a card; ends are looked at by the checks.
DIGITS = re.compile(
    r"[+(\d](?<![\w.,/:=#-].)(?:(?<=\d)|\d)(?:[ .\-/()\u2011\u2013]{0,2}\d){6,18}"
    r"(?![\w@]|[.,:/-]\d)", re.DOTALL
)
BETWEEN = re.compile(r"\D+")
PHONE_WORDS = re.compile(
    r"(?:phones?|tele(?:phone|fon|fono)|tel|t[ée]l|mobile?|mob|cell|fax|call|ring|handy|whatsapp|sms"
    r"|ruf\w*|telefon\w*|t[ée]l[ée]phone|m[óo]vil|celular|телефон\w*|тел|电话|電話|هاتف|फोन)"
    r"[\s.:,)(–-]*(?:\w{0,12}[\s.:]+){0,2}$", re.IGNORECASE,
)
OTHER_WORDS = re.compile(
    r"(?:isbn|issn|doi|version|build|order|invoice|rechnung|id|no|nr|#|ref|serial|part|item|sku"
    r"|lat\w*|lon\w*|population|\$|€|£|eur|usd)[\s.:,#-]*$", re.IGNORECASE,
)
DATE = re.compile(
    r"\d{4}[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ]\d{2,4}"
    r"|(?:1[89]|20)\d\d ?[-–/] ?(?:1[89]|20)\d\d"
)
VERSION = re.compile(r"(?:version|ver|v|release|build|firmware|section|§|chapter)[\s.:]*$", re.I)
AMERICAN = re.compile(r"(?:1[-. ])?\(?[2-9]\d\d\)?[-. ][2-9]\d\d[-. ]\d{4}")
FOUR_DIGITS = re.compile(r"\d\D{0,2}\d\D{0,2}\d\D{0,2}\d")  # all but IPV6 hold four
COLONS = re.compile(":[0-9A-Fa-f]{0,4}:")  # and that two
BEFORE = 40  # characters that may say what a number is


def luhn(digits: str) -> bool:
    """Whether a number's digits satisfy Luhn's sum, as those of cards do."""
    total = 0
    for at, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if at % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def mod97(iban: str) -> bool:
    """Whether an IBAN's check digits are right."""
    moved = iban[4:] + iban[:4]
    return int("".join(str(int(c, 36)) for c in moved)) % 97 == 1


def redact(text: str) -> tuple[str, dict[str, int]]:
    """(the text with placeholders, kind -> how many)."""
    found: Counter[str] = Counter()

    def put(kind: str, of: Callable[[re.Match[str]], str | None]) -> Callable[[re.Match[str]], str]:
        def replacement(match: re.Match[str]) -> str:
            is_one = of(match)
            if is_one is None:
                return match[0]
            found[kind] += 1
            return match[0].replace(is_one, f"<{kind}>")

        return replacement

    if "@" in text:
        email = put("EMAIL", lambda match: match[0])
        text = "\n".join(
            EMAIL.sub(email, line) if "@" in line else line for line in text.split("\n")
        )
    digits = FOUR_DIGITS.search(text) is not None
    if digits:
        text = IBAN.sub(put("IBAN", _iban), text)
    if digits and text.count(".") >= 3:
        text = IPV4.sub(put("IP", _address), text)
    if COLONS.search(text):
        text = IPV6.sub(put("IP", _address), text)
    if digits:
        text = DIGITS.sub(lambda match: _number(match, found), text)
    return text, dict(found)


def _iban(match: re.Match[str]) -> str | None:
    """The IBAN that a match begins with, None for none: words in capitals may follow it."""
    country = match[0][:2]
    length = LENGTHS.get(country)
    places = [at for at, c in enumerate(match[0]) if c != " "]
    if length is None or len(places) < length:
        return None
    end = places[length - 1] + 1
    cut = match[0][end : end + 1] in ("", " ")
    return match[0][:end] if cut and mod97(match[0][:end].replace(" ", "")) else None


def _address(match: re.Match[str]) -> str | None:
    """An address that is somebody's: not 127.0.0.1, nor 10.0.0.1, nor a version like 1.2.3.4."""
    try:
        address = ipaddress.ip_address(match[0])
    except ValueError:
        return None
    before = match.string[max(0, match.start() - BEFORE) : match.start()]
    if not address.is_global or VERSION.search(before):
        return None
    return match[0]


def _number(match: re.Match[str], found: Counter[str]) -> str:
    """What a run of digits becomes: a card, a national number, a phone, or itself."""
    lead = "(" if match[0].startswith("(") and ")" not in match[0] else ""
    whole = match[0][len(lead) :]
    digits = BETWEEN.sub("", whole)
    before = match.string[max(0, match.start() - BEFORE) : match.start()]
    kind = None
    if _is_card(whole, digits):
        kind = "CARD"
    elif OTHER_WORDS.search(before) or (len(digits) == 13 and digits[:3] in ("978", "979")):
        kind = None  # an order, an ISBN, a position
    elif ids.national(whole, digits):
        kind = "ID"
    elif _is_phone(whole, digits, before):
        kind = "PHONE"
    if kind is None:
        return match[0]
    found[kind] += 1
    return f"{lead}<{kind}>"


def _is_card(whole: str, digits: str) -> bool:
    """13 to 19 digits that begin as cards do, cut in one way, with Luhn's last digit."""
    cuts = set(BETWEEN.findall(whole))
    return (
        13 <= len(digits) <= 19 and digits[0] in "3456" and len(cuts) <= 1
        and not cuts & set("()/+.") and not whole.startswith("+") and luhn(digits)
    )


def _is_phone(whole: str, digits: str, before: str) -> bool:
    if not 7 <= len(digits) <= 15 or DATE.match(whole):
        return False
    if whole.startswith("+") or PHONE_WORDS.search(before):
        return True
    if whole.startswith("("):
        return ")" in whole and len(digits) >= 9
    national = whole.startswith("0") and 9 <= len(digits) <= 14
    return (national and len(BETWEEN.findall(whole)) >= 1 and "." not in whole[:2]) or bool(
        AMERICAN.fullmatch(whole)
    )


# ISO 13616: characters of an IBAN by country.
LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22,
    "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28,
    "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23,
    "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26,
    "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20,
    "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30,
    "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22,
    "SA": 24, "SC": 31, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23,
    "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}
