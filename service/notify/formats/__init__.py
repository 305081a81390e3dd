"""One module for each format: a notification → the body of its POST, pure."""

from collections.abc import Callable, Mapping

from service.notify.formats import apprise, discord, pagerduty, slack, standard, teams
from service.notify.notification import Notification

# The body as JSON text. What a format cannot hold it cuts, and says how much; what a format would read as markup it escapes.
Format = Callable[[Notification], str]

FORMATS: Mapping[str, Format] = {
    "standard": standard.render,
    "slack": slack.render,
    "pagerduty": pagerduty.render,
    "discord": discord.render,
    "teams": teams.render,
    "apprise": apprise.render,
}
