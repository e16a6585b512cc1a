"""What schemathesis can't know of good requests: a random tag matches nothing, a route's name is that of its path, and
routes go to upstreams that are there. Most good requests are made so that they can be; bad ones stay as they are."""

import zlib

import schemathesis


@schemathesis.hook
def before_call(ctx, case, **kwargs):
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive:
        return
    # Of four requests one keeps its conditions and stays a dry run; the same ones in every run.
    if zlib.crc32(repr((case.path_parameters, case.body)).encode()) % 4:
        for name in ("If-Match", "If-None-Match"):
            (case.headers or {}).pop(name, None)
        (case.query or {}).pop("dry_run", None)
    if isinstance(case.body, dict) and case.method in ("PUT", "PATCH") and "{name}" in case.operation.path:
        case.body.pop("name", None)
        if "upstream" in case.body:
            case.body["upstream"] = "app"
        split = case.body.get("split")
        for side in split if isinstance(split, list) else []:
            if isinstance(side, dict):
                side["upstream"] = "app"
