"""The filter language of queries, rules, webhook matchers and silences.

In reading order: tree.py (what a filter can say, and what that means), grammar.py (text → tree), predicate.py (tree → a
function of an event), literals.py (tree → what must occur in a line). SQL is made of a tree in `service/store/filter_sql.py`.
"""

from parsers.filters.grammar import FilterError, parse_filter
from parsers.filters.predicate import Predicate, predicate
from parsers.filters.tree import Node, quoted, render

__all__ = ["FilterError", "Node", "Predicate", "parse_filter", "predicate", "quoted", "render"]
