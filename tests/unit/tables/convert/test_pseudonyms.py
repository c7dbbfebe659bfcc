"""Hashes of phones and e-mails: equal for one person however written, and null where nothing whole is there."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from altegio_provider.tables.convert.pseudonyms import Pseudonymizer

KEY = b"0123456789abcdef"
ours = Pseudonymizer(KEY)


def hashed(text, key=KEY):
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    "phone",
    [
        "+13155550175",
        "13155550175",
        "0013155550175",
        " +1 (315) 555-01-75 ",
        "+1\u00a0315\u2011555\u20110175",
        "１３１５５５５０１７５",
        13155550175,
    ],
)
def test_a_phone_is_hashed_by_its_digits_however_it_is_written(phone):
    assert ours.hash_phone(phone) == hashed("13155550175")


@pytest.mark.parametrize(
    "phone",
    [
        *("+1315*****75", "1315XXX0175", "+1315…75", "", "+", "12345678", "1234567890123456", "0315555017"),
        *(None, True, 1.5, ["13155550175"], {"phone": "13155550175"}),
        *("13155550175, 13155550176", "call +13155550175"),
    ],
)
def test_what_is_masked_or_no_whole_phone_has_no_hash(phone):
    assert ours.hash_phone(phone) is None


@pytest.mark.parametrize("email", ["anna@example.com", "Anna@Example.COM", " anna@example.com\n", "ａnna@example.com"])
def test_an_address_is_hashed_in_small_letters(email):
    assert ours.hash_email(email) == hashed("anna@example.com")


@pytest.mark.parametrize(
    "email",
    ["", None, 5, "anna", "@example.com", "anna@", "a***@example.com", "anna@ex ample.com", "a@b@c", "a\ud800@b.c"],
)
def test_what_is_masked_or_no_address_has_no_hash(email):
    assert ours.hash_email(email) is None


def test_another_key_gives_another_hash():
    assert Pseudonymizer(b"another key of 16+").hash_phone("+13155550175") not in (
        None,
        ours.hash_phone("+13155550175"),
    )


def test_a_short_key_is_refused_and_no_key_is_shown():
    with pytest.raises(ValueError, match="16") as caught:
        Pseudonymizer(b"swordfish")
    assert "swordfish" not in str(caught.value)
    assert "0123456789abcdef" not in repr(ours)
