"""What data earns, in a real ledger that enforces its own laws."""

from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from tests.system.cloud_kit import Cloud, Home, open_cloud, settings_for


async def earn(cloud: Cloud, epochs: int = 64) -> Home:
    home = await cloud.home()
    [device] = await home.enrol()
    grant = await home.grant(device.pet_id)
    await home.send(device.epochs(grant, epochs))
    return home


async def settle(cloud: Cloud) -> list[int]:
    path = "/v1/rewards/settle?close_current=true"
    return (await cloud.operator("POST", path))["period_ids"]


async def test_a_closed_period_is_paid_once_with_its_reasons(cloud: Cloud) -> None:
    home = await earn(cloud)
    assert len(await settle(cloud)) == 1
    assert await settle(cloud) == []
    wallet = await home.call("GET", "/v1/wallet")
    assert wallet["balance"] == 64 * 900 * cloud.settings.rate_per_unit
    [entry] = wallet["entries"]
    assert entry["amount"] == wallet["balance"]
    assert entry["reasons"] == {"sealed": 1, "fresh": 1, "complete": 1}
    assert wallet["pending_units"] == 0
    assert await cloud.operator("GET", "/v1/rewards/verify") == {"ok": True, "findings": []}


async def test_a_period_that_runs_is_not_paid(cloud: Cloud) -> None:
    home = await earn(cloud)
    assert (await cloud.operator("POST", "/v1/rewards/settle"))["period_ids"] == []
    assert (await home.call("GET", "/v1/wallet"))["balance"] == 0


async def test_after_an_early_close_the_next_period_begins(cloud: Cloud) -> None:
    home = await earn(cloud)
    [first] = await settle(cloud)
    [device] = await home.enrol()
    await home.send(device.epochs(await home.grant(device.pet_id)))
    [second] = await settle(cloud)
    assert second != first
    assert len((await home.call("GET", "/v1/wallet"))["entries"]) == 2


async def test_a_budget_that_is_too_small_is_shared_pro_rata(database: str, tmp_path: Path) -> None:
    async with open_cloud(settings_for(database, tmp_path, emission_budget=1_001)) as cloud:
        homes = [await earn(cloud, 60), await earn(cloud, 30)]
        await settle(cloud)
        balances = [(await home.call("GET", "/v1/wallet"))["balance"] for home in homes]
        assert balances == [667, 333]
        assert (await cloud.operator("GET", "/v1/rewards/verify"))["ok"]


async def test_verify_finds_what_does_not_follow_from_the_scores(
    cloud: Cloud, database: str
) -> None:
    await earn(cloud)
    await settle(cloud)
    with psycopg.connect(database) as db:
        db.execute("ALTER TABLE score DISABLE TRIGGER USER")
        db.execute("UPDATE score SET units = units + 1")
    found = await cloud.operator("GET", "/v1/rewards/verify")
    assert not found["ok"]
    assert "was paid" in found["findings"][0]


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("UPDATE posting SET amount = amount + 1", errors.RestrictViolation),
        ("DELETE FROM posting", errors.RestrictViolation),
        ("TRUNCATE posting", errors.RestrictViolation),
        ("UPDATE ledger_transaction SET memo = 'x'", errors.RestrictViolation),
        ("DELETE FROM score", errors.RestrictViolation),
        ("INSERT INTO ledger_transaction (memo) VALUES ('empty')", errors.CheckViolation),
        (
            "WITH t AS (INSERT INTO ledger_transaction (memo) VALUES ('one side')"
            " RETURNING transaction_id) INSERT INTO posting SELECT transaction_id, 'emission', 5"
            " FROM t",
            errors.CheckViolation,
        ),
    ],
)
async def test_the_database_itself_keeps_the_ledgers_laws(
    cloud: Cloud, database: str, statement: str, error: type[Exception]
) -> None:
    await earn(cloud)
    await settle(cloud)
    with psycopg.connect(database, autocommit=True) as db, pytest.raises(error):
        db.execute(statement.encode())
