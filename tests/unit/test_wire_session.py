"""What of a session needs no broker; the rest is in tests/system."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.wire.session import BrokerUrl, _sent_at


class TestBrokerUrl:
    def test_all_of_it(self) -> None:
        broker = BrokerUrl.parse("mqtt://me:p%40ss@broker.example:1884")
        assert broker == BrokerUrl("broker.example", 1884, "me", "p@ss")

    def test_ports_have_defaults(self) -> None:
        assert BrokerUrl.parse("mqtt://b") == BrokerUrl("b", 1883)
        ca = Path("ca.pem")
        assert BrokerUrl.parse("mqtts://b", ca) == BrokerUrl("b", 8883, tls=True, ca_file=ca)

    @pytest.mark.parametrize(
        "url", ["", "b:1883", "http://me:s3cret@b", "mqtt://", "mqtt://b:port", "mqtt://b:70000"]
    )
    def test_what_is_no_broker_is_said_without_the_password(self, url: str) -> None:
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is checked below
            BrokerUrl.parse(url)
        assert "s3cret" not in str(caught.value)

    def test_the_password_is_not_shown(self) -> None:
        assert "s3cret" not in repr(BrokerUrl.parse("mqtt://me:s3cret@b"))


class TestSentAt:
    @pytest.mark.parametrize("said", ["2026-03-01T12:00:00+00:00", "2026-03-01T13:00:00+01:00"])
    def test_it_is_an_instant(self, said: str) -> None:
        assert _sent_at([("other", "x"), ("sent_at", said)]) == datetime(2026, 3, 1, 12, tzinfo=UTC)

    @pytest.mark.parametrize(
        "said", ["", "noon", "2026-03-01T12:00:00", "0001-01-01T00:00:00+14:00"]
    )
    def test_or_it_is_not_known(self, said: str) -> None:
        assert _sent_at([("sent_at", said)]) is None
        assert _sent_at([]) is None
