"""What keeps an incident from being told, and that it is told when that is over; every decision with its reason."""

from dataclasses import replace

from service.incidents import lifecycle
from service.store.database import Database

from .lives import HOOK, goes_on, opened, over, reasons, reopened, silenced, told
from .outbox import add, after

SYMPTOMS = ("request_timeouts", "error_rate")


async def test_every_decision_says_why(db: Database) -> None:
    await add(db, HOOK, match="severity>=critical")
    await add(db, HOOK)
    incident = await opened(db)
    await told(db)

    assert await reasons(db, incident) == [
        ("opened", False, 'its filter "severity>=critical" does not hold'),
        ("opened", True, 'its filter "" holds'),
    ]


async def test_without_any_webhook_that_is_the_reason(db: Database) -> None:
    incident = await opened(db)
    await told(db)

    assert await reasons(db, incident) == [("opened", False, "there is no webhook that could be told")]


async def test_a_silence_keeps_an_incident_from_being_told_and_not_from_existing(db: Database) -> None:
    await add(db, HOOK)
    await silenced(db, "app:shop")
    incident, other = await opened(db), await opened(db, app="blog")

    assert await told(db) == [("opened", "crash_loop")]
    assert await reasons(db, incident) == [
        ("opened", False, "silence 1 (app:shop, deploying; by on call) holds until 2026-05-11 13:00 UTC")
    ]
    assert [told for _, told, _ in await reasons(db, other)] == [True]


async def test_when_a_silence_ends_one_message_says_so_with_what_is_loud_again(db: Database) -> None:
    await add(db, HOOK)
    await silenced(db, "app:shop")
    gone, stands, also = await opened(db), await opened(db, "error_rate"), await opened(db, "drain_loss")
    await opened(db, "memory_quota", app="blog")
    assert await told(db) == [("opened", "memory_quota")]
    await over(db, gone, seconds=60)
    assert await told(db, seconds=3599) == []

    assert await told(db, seconds=3600) == [("silence.ended", ["drain_loss", "error_rate"])]
    assert await told(db, seconds=3601) == []
    await over(db, stands, seconds=3700)
    assert await told(db, seconds=3700) == [("resolved", "error_rate")]
    assert [step for step, was_told, _ in await reasons(db, also) if was_told] == ["loud"]


async def test_the_end_of_a_silence_that_hushed_nothing_is_told_too(db: Database) -> None:
    await add(db, HOOK, match="severity>=critical")
    await silenced(db, "app:shop")

    assert await told(db, seconds=3600) == [("silence.ended", [])]


async def test_who_asks_for_openings_alone_is_told_of_each_when_the_silence_ends(db: Database) -> None:
    await add(db, HOOK, types=["incident.opened", "incident.resolved"])
    await silenced(db, "app:shop")
    incident = await opened(db)

    assert await told(db, seconds=3600) == [("opened", "crash_loop")]
    await over(db, incident, seconds=3700)
    assert await told(db, seconds=3700) == [("resolved", "crash_loop")]


async def test_a_resolution_is_told_where_the_opening_was_also_in_a_silence(db: Database) -> None:
    await add(db, HOOK)
    incident = await opened(db)
    await told(db)
    await silenced(db, "app:shop", since=10)
    await over(db, incident, seconds=60)

    assert await told(db, seconds=60) == [("resolved", "crash_loop")]


async def test_a_resolution_is_not_told_where_the_opening_was_hushed(db: Database) -> None:
    await add(db, HOOK, types=["incident.resolved"])
    await add(db, HOOK)
    await silenced(db, "app:shop", until=30)
    incident = await opened(db)
    await over(db, incident, seconds=20)

    assert await told(db, seconds=20) == []


async def test_what_is_acknowledged_while_it_is_hushed_is_not_loud_afterwards(db: Database) -> None:
    await add(db, HOOK)
    await silenced(db, "app:shop")
    incident = await opened(db)
    await told(db)
    await goes_on(db, incident, "acknowledged", lambda one: lifecycle.acknowledged(one, at=after(60)), seconds=60)

    assert await told(db, seconds=60) == []
    assert await told(db, seconds=3600) == [("silence.ended", [])]
    await over(db, incident, seconds=3700)
    assert await told(db, seconds=3700) == []


async def test_two_silences_hush_until_the_second_ends(db: Database) -> None:
    await add(db, HOOK)
    await silenced(db, "app:shop", until=100)
    await silenced(db, "rule:crash_loop", until=200)
    await opened(db)

    assert await told(db) == []
    assert await told(db, seconds=100) == [("silence.ended", [])]
    assert await told(db, seconds=200) == [("silence.ended", ["crash_loop"])]


async def test_an_open_cause_inhibits_its_symptoms_in_its_app_alone(db: Database) -> None:
    await add(db, HOOK)
    cause = await opened(db, inhibits=SYMPTOMS)
    hushed = await opened(db, "request_timeouts")
    await opened(db, "error_rate", app="blog")

    assert sorted(await told(db)) == [("opened", "crash_loop"), ("opened", "error_rate")]
    assert await reasons(db, hushed) == [
        ("opened", False, f"crash_loop of web inhibits it (incident {cause.id})"),
    ]


async def test_a_symptom_that_outlives_its_cause_is_told_then(db: Database) -> None:
    await add(db, HOOK)
    cause = await opened(db, inhibits=SYMPTOMS)
    stands, gone = await opened(db, "request_timeouts"), await opened(db, "error_rate")
    await told(db)
    await over(db, gone, seconds=30)
    assert await told(db, seconds=30) == []
    await over(db, cause, seconds=60)

    assert sorted(await told(db, seconds=60)) == [("opened", "request_timeouts"), ("resolved", "crash_loop")]
    await over(db, stands, seconds=90)
    assert await told(db, seconds=90) == [("resolved", "request_timeouts")]


async def test_a_symptom_that_is_told_already_stays_told(db: Database) -> None:
    await add(db, HOOK)
    symptom = await opened(db, "request_timeouts")
    await told(db)
    await opened(db, inhibits=SYMPTOMS)
    await told(db, seconds=10)
    await over(db, symptom, seconds=60)

    assert await told(db, seconds=60) == [("resolved", "request_timeouts")]


async def test_a_symptom_that_came_and_went_with_its_cause_during_an_outage_is_told_nowhere(db: Database) -> None:
    await add(db, HOOK)
    cause, symptom = await opened(db, inhibits=SYMPTOMS), await opened(db, "error_rate")
    await over(db, symptom, seconds=60)
    await over(db, cause, seconds=120)

    assert {rule for _, rule in await told(db, seconds=3600)} == {"crash_loop"}


async def test_what_flaps_is_hushed_until_it_is_stable(db: Database) -> None:
    await add(db, HOOK)
    incident = await opened(db)
    await over(db, incident, seconds=10)
    third = {"flapping_since": after(20)}
    await reopened(db, incident, seconds=20, **third)
    assert [type for type, _ in await told(db, seconds=20)] == ["opened", "resolved", "reopened"]
    await over(db, incident, seconds=30)
    await reopened(db, incident, seconds=40)
    await over(db, incident, seconds=50)
    assert await told(db, seconds=50) == []
    await goes_on(db, incident, "settled", lambda one: replace(one, flapping_since=None), seconds=950)

    assert await told(db, seconds=950) == [("resolved", "crash_loop")]


async def test_an_acknowledgement_that_lapses_while_it_flaps_is_told_once_it_is_stable(db: Database) -> None:
    await add(db, HOOK)
    incident = await opened(db)
    await over(db, incident, seconds=10)
    await reopened(db, incident, seconds=20, flapping_since=after(20))
    await told(db, seconds=20)
    await goes_on(db, incident, "acknowledged", lambda one: lifecycle.acknowledged(one, at=after(30)), seconds=30)
    assert [type for type, _ in await told(db, seconds=30)] == ["acknowledged"]
    await goes_on(db, incident, "lapsed", lambda one: lifecycle.lapsed(one, at=after(60)), seconds=60)
    assert await told(db, seconds=60) == []
    await goes_on(db, incident, "steady", lambda one: replace(one, flapping_since=None), seconds=950)

    assert [type for type, _ in await told(db, seconds=950)] == ["reminder"]
