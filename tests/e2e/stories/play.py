# SPDX-License-Identifier: Apache-2.0
"""Plays themes of stories in one lab."""

import time

import tap
from common import Cast
from lab import Lab, requirements


def prepare(lab, themes):
    """The cast, and all services and endpoints of the themes at once."""
    cast = Cast(lab)
    made = lab.services(*(s for theme in themes for s in theme.services()))
    for theme in themes:
        if hasattr(theme, "prepare"):
            theme.prepare(lab)
    lab.all_endpoints({made[name]: pods for theme in themes for name, pods in theme.endpoints(cast).items()})
    return cast, made


def tell_all(lab, stories, only, *arguments):
    for tell in stories:
        if not only or tell.__name__ in only:
            start = time.monotonic()
            lab.story(tell, *arguments)
            tap.diag(f"{tell.__name__} took {time.monotonic() - start:.1f} s")


def play(themes, only=(), **settings):
    """Every story of the themes, or those with a name in `only`; then what holds for every lab."""
    requirements()
    with Lab(**settings) as lab:
        cast, made = prepare(lab, themes)
        tap.ok(time.monotonic() - lab.started < 60, "the lab is up", time.monotonic() - lab.started)
        tell_all(lab, [tell for theme in themes for tell in theme.STORIES], only, cast, made)
        lab.check_no_packet_filter()
        tell_all(lab, [tell for theme in themes for tell in getattr(theme, "LAST", ())], only, cast, made)
        lab.check_no_way_out()
    tap.done()
