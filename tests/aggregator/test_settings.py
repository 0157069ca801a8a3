"""Settings: addresses and keys."""

import pytest

from aggregator.settings import Address, BadSettingError, Settings, parse_address


@pytest.mark.parametrize(
    ("text", "address", "url"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080), "http://127.0.0.1:8080"),
        ("localhost:0", Address("localhost", 0), "http://localhost:0"),
        (":80", Address("0.0.0.0", 80), "http://127.0.0.1:80"),
        ("[::1]:8080", Address("::1", 8080), "http://[::1]:8080"),
        ("[::]:8080", Address("::", 8080), "http://[::1]:8080"),
    ],
)
def test_addresses(text: str, address: Address, url: str) -> None:
    assert parse_address(text) == address
    assert address.url == url


@pytest.mark.parametrize("text", ["", "8080", "host:", "host:x", "host:-1", "host:65536", "::1:80"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(BadSettingError):
        parse_address(text)


def test_replicas_sign_cursors_alike_with_what_others_do_not_know() -> None:
    first = Settings(database_url="postgresql://u:secret@h/d")
    second = Settings(database_url="postgresql://u:secret@h/d", query_connections=3)
    other = Settings(database_url="postgresql://u:other@h/d")
    chosen = Settings(database_url="postgresql://u:other@h/d", cursor_secret="s")

    assert first.cursor_key == second.cursor_key
    assert len({first.cursor_key, other.cursor_key, chosen.cursor_key}) == 3
