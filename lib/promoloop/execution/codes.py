"""Redemption codes: short, unguessable, the same for the same offer, with a check digit for the till.

A code is 12 digits base 31 of the keyed hash of the offer's id (56 bits), and one check digit: the sum of position times digit,
modulo 31. As 31 is prime and positions are below it, one wrong digit or two swapped ones never pass (as in ISBN-10). The alphabet
leaves out 0, 1, I, L and O.
"""

from pyspark.sql import Column
from pyspark.sql import functions as F

from promoloop import privacy

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_BASE_31 = "0123456789ABCDEFGHIJKLMNOPQRSTU"
_LENGTH = 12


def issue(offer_id: Column, key: privacy.Key) -> Column:
    """The code of an offer. Without the key nobody can compute it; the key is the one of the pseudonyms, used for another purpose."""
    hashed = privacy.pseudonymise(F.concat(F.lit("redemption code "), offer_id), key)
    digits = F.lpad(F.conv(F.substring(hashed, 1, 14), 16, 31), _LENGTH, "0")
    body = F.translate(digits, _BASE_31, ALPHABET)
    return F.concat(body, _check_digit(body))


def is_valid(code: Column) -> Column:
    """Whether a code is well formed; says nothing about whether it was issued."""
    body = F.substring(code, 1, _LENGTH)
    return code.rlike(f"^[{ALPHABET}]{{{_LENGTH + 1}}}$") & (F.substring(code, _LENGTH + 1, 1) == _check_digit(body))


def _check_digit(body: Column) -> Column:
    total = F.lit(0)
    for position in range(1, _LENGTH + 1):
        total = total + F.lit(position) * (F.instr(F.lit(ALPHABET), F.substring(body, position, 1)) - 1)
    return F.substring(F.lit(ALPHABET), total % 31 + 1, F.lit(1))
