"""One module for each format: a notification → the body of its POST, pure."""

from collections.abc import Callable, Mapping

from service.notify.formats import standard
from service.notify.notification import Notification

# The body as JSON text. What a format cannot hold it cuts; what a format would read as markup it escapes.
Format = Callable[[Notification], str]

FORMATS: Mapping[str, Format] = {
    "standard": standard.render,
}
