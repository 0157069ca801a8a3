"""Tokens are random, recognisable and stored as a hash."""

import hashlib

import pytest

from aggregator.access.token import digest, generate, is_well_formed


def test_tokens_are_256_random_bits_with_a_prefix() -> None:
    tokens = {generate() for _ in range(100)}

    assert len(tokens) == 100
    assert all(token.startswith("fw_") and len(token) == 46 for token in tokens)
    assert all(is_well_formed(token) for token in tokens)


def test_the_stored_name_is_the_sha256() -> None:
    assert digest("fw_x") == hashlib.sha256(b"fw_x").digest()


@pytest.mark.parametrize("text", ["", "fw_", "fw_" + "a" * 42, "gh_" + "a" * 43, "fw_" + "ä" * 43])
def test_what_is_no_token_is_told_apart(text: str) -> None:
    assert not is_well_formed(text)
