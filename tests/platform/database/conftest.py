"""Connections are tested on both kinds of event loop: that of the servers, and that of verbs on the command line."""

import asyncio

import uvloop


def pytest_asyncio_loop_factories() -> dict[str, object]:
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
