"""Prints docs/api.md as the code has it now: `python docs/make_api.py > docs/api.md`."""

from service.api.markdown import markdown_of
from service.app import create_app
from service.settings import read_settings
from service.store.database import Database

if __name__ == "__main__":
    app = create_app(read_settings({}), Database.open("postgres://localhost/none"))  # which is never opened
    print(markdown_of(app.openapi()), end="")
