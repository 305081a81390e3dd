"""How long the long tests are: in `make test` short, in `make soak` (SOAK=1) as long as the figures of the design say."""

import os

SOAK = os.environ.get("SOAK") == "1"
KILLS = 50 if SOAK else 5
OUTAGE_SECONDS = 60.0 if SOAK else 10.0
RESTARTS = 10 if SOAK else 1
MUTATED_BODIES = 1_000_000 if SOAK else 4_000
MUTATED_POSTS = 20_000 if SOAK else 300
FILTERS = 1_000 if SOAK else 100  # examples of some filters over some events
PAGES_APART = 1 if SOAK else 8  # of all the pages there could be, each n-th is asked for
