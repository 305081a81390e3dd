"""Bytes in, typed values out: pure functions and frozen dataclasses, on the standard library and pyparsing alone.

In reading order, each built on those above it:

    line, event           what comes out: a line of an app, and a line that means something
    octet_counting        the body of a POST → messages, and damage where there are none
    syslog                a message → a line
    logfmt, quantities    `key=value`; `30001ms` and `512.00MB`
    app_line              an app's own line, in any of three ways of writing it
    catalogue             what Heroku's error codes mean
    kinds                 a line → what it means; a module for each family of lines, and `named` for what is given as data
    redact                credentials out, before anything is kept
    columns               a body's messages and header fields, one column each
    beside                what an event has from the lines beside it
    stack_traces          five languages: how a trace begins, goes on, and what it says
    multiline             the lines of one dyno, folded into traces, also across frames
    traces                the traces of a body: which lines may be of one, and their events
    traffic               router lines → counts and times of a minute
    frame                 all of this for one POST: read_frame()
    logs_text             what `heroku logs` prints → a body, so that the same code reads it
    filters               the filter language: text → tree → function of an event
"""
