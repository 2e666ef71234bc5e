"""Secrets are whole, kept, and nobody else's."""

from pathlib import Path

import pytest

from gateway.main import load_token
from gateway.secret_file import kept_secret
from gateway.sync import load_key


def test_a_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "gateway.token"
    assert kept_secret(file, lambda: "first") == "first"
    assert kept_secret(file, lambda: "second") == "first"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("left", ["", "\n"])
def test_a_file_that_a_death_left_empty_holds_no_secret(tmp_path: Path, left: str) -> None:
    token, key = tmp_path / "gateway.token", tmp_path / "gateway.key"
    for file in (token, key):
        file.write_text(left)
    assert len(load_token(token)) >= 32
    assert load_token(token) == token.read_text()
    assert load_key(key).private_bytes_raw() == load_key(key).private_bytes_raw()
    assert token.stat().st_mode & 0o777 == 0o600


def test_a_death_while_writing_leaves_the_next_start_in_peace(tmp_path: Path) -> None:
    (tmp_path / "gateway.new").write_text("half a sec")
    assert len(load_token(tmp_path / "gateway.token")) >= 32
