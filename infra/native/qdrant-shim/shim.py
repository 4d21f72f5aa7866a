"""Enough of Qdrant's REST API for Aquifer's vector index, over the local mode of qdrant-client. For tests, never for data.

Usage: shim.py PORT DIRECTORY [HOST], on loopback unless told. It ends when its standard input does, so it dies with whoever started it.
Bodies are read with qdrant-client's own models, which forbid unknown fields; what the server is known to refuse is refused.
"""

import json
import os
import sys
import threading
import warnings
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import BaseModel, TypeAdapter, ValidationError
from qdrant_client.http import models
from qdrant_client.local import local_collection
from qdrant_client.local.persistence import CollectionPersistence
from qdrant_client.local.qdrant_local import QdrantLocal

MAX_BODY_BYTES = 32 * 1024 * 1024
UPDATE_PARAMETERS = {"wait", "ordering", "timeout"}
READ_PARAMETERS = {"consistency", "timeout"}


class Refused(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def read(model, body):
    try:
        return TypeAdapter(model).validate_python(body)
    except ValidationError as error:
        raise Refused(400, f"Format error in JSON body: {error}") from error


def plain(value):
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


class Persistence(CollectionPersistence):
    """What is written outlives a kill of this process; syncing every point would take milliseconds each."""

    def __init__(self, *args):
        super().__init__(*args)
        self.storage.execute("PRAGMA synchronous=OFF")


local_collection.CollectionPersistence = Persistence


class Shim:
    def __init__(self, directory):
        self.local = QdrantLocal(location=str(directory), force_disable_check_same_thread=True)
        self.indexes_path = Path(directory) / "payload-indexes.json"
        self.indexes = {}
        with suppress(FileNotFoundError):
            self.indexes = json.loads(self.indexes_path.read_text())

    def save_indexes(self):
        self.indexes_path.write_text(json.dumps(self.indexes))

    def need(self, name):
        known = name in self.local.collections or name in self.local.aliases
        if not known:
            raise Refused(404, f"Not found: Collection `{name}` doesn't exist!")
        return name

    def get_collection(self, name, _):
        info = plain(self.local.get_collection(self.need(name)))
        info["payload_schema"] = {
            field: {"data_type": schema["type"], "params": schema, "points": info["points_count"]}
            for field, schema in self.indexes.get(name, {}).items()
        }
        return info

    def create_collection(self, name, body):
        config = read(models.CreateCollection, body)
        if name in self.local.collections:
            raise Refused(409, f"Wrong input: Collection `{name}` already exists!")
        self.local.create_collection(name, config.vectors, config.sparse_vectors, config.metadata)
        return True

    def update_collection(self, name, body):
        change = read(models.UpdateCollection, body)
        self.local.update_collection(self.need(name), change.sparse_vectors, change.metadata)
        return True

    def delete_collection(self, name, _):
        known = name in self.local.collections
        self.local.delete_collection(name)
        self.indexes.pop(name, None)
        self.save_indexes()
        return known

    def create_index(self, name, body):
        index = read(models.CreateFieldIndex, body)
        schema = plain(index.field_schema)
        schema = {"type": schema} if isinstance(schema, str) else schema
        self.indexes.setdefault(self.need(name), {})[index.field_name] = schema
        self.save_indexes()
        return self.done()

    def change_aliases(self, _, body):
        return self.local.update_collection_aliases(read(models.ChangeAliasesOperation, body).actions)

    def upsert(self, name, body):
        points = read(models.PointsList, body)
        return self.local.upsert(
            self.need(name), points.points, update_filter=points.update_filter, update_mode=points.update_mode
        )

    def retrieve(self, name, body):
        asked = read(models.PointRequest, body)
        return self.local.retrieve(self.need(name), asked.ids, asked.with_payload or False, asked.with_vector or False)

    def delete(self, name, body):
        return self.local.delete(self.need(name), read(models.PointsSelector, body))

    def batch(self, name, body):
        operations = read(models.UpdateOperations, body).operations
        return self.local.batch_update_points(self.need(name), operations)

    def scroll(self, name, body):
        asked = read(models.ScrollRequest, body)
        points, following = self.local.scroll(
            self.need(name),
            asked.filter,
            10 if asked.limit is None else asked.limit,
            asked.order_by,
            asked.offset,
            True if asked.with_payload is None else asked.with_payload,
            asked.with_vector or False,
        )
        return {"points": plain(points), "next_page_offset": following}

    def count(self, name, body):
        return self.local.count(self.need(name), read(models.CountRequest, body).filter)

    def facet(self, name, body):
        asked = read(models.FacetRequest, body)
        schema = self.indexes.get(self.need(name), {}).get(asked.key)
        if schema is None or schema["type"] not in ("keyword", "integer", "uuid", "bool") or schema.get("lookup") is False:
            raise Refused(400, f"Wrong input: No appropriate index for faceting: `{asked.key}`")
        return self.local.facet(name, asked.key, asked.filter, asked.limit or 10)

    def query_batch(self, name, body):
        return self.local.query_batch_points(self.need(name), read(models.QueryRequestBatch, body).searches)

    def done(self):
        return {"operation_id": 0, "status": "completed"}

    def route(self, method, path, parameters, body):
        match method, path.strip("/").split("/"):
            case "GET", ["collections"]:
                return self.local.get_collections()
            case "GET", ["aliases"]:
                return self.local.get_aliases()
            case "POST", ["collections", "aliases"]:
                act, known = self.change_aliases, {"timeout"}
                name = ""
            case _, ["collections", name, *rest]:
                act, known = self.actions().get((method, *rest), (None, set()))
                name = unquote(name)
            case _:
                act, known, name = None, set(), ""
        if act is None:
            raise Refused(404, "Not found")
        if unknown := parameters - known:
            raise Refused(400, f"Wrong input: the shim knows no parameter {', '.join(sorted(unknown))}")
        return act(name, body)

    def actions(self):
        return {
            ("GET",): (self.get_collection, set()),
            ("PUT",): (self.create_collection, {"timeout"}),
            ("PATCH",): (self.update_collection, {"timeout"}),
            ("DELETE",): (self.delete_collection, {"timeout"}),
            ("PUT", "index"): (self.create_index, UPDATE_PARAMETERS),
            ("PUT", "points"): (self.upsert, UPDATE_PARAMETERS),
            ("POST", "points"): (self.retrieve, READ_PARAMETERS),
            ("POST", "points", "delete"): (self.delete, UPDATE_PARAMETERS),
            ("POST", "points", "batch"): (self.batch, UPDATE_PARAMETERS),
            ("POST", "points", "scroll"): (self.scroll, READ_PARAMETERS),
            ("POST", "points", "count"): (self.count, READ_PARAMETERS),
            ("POST", "points", "query", "batch"): (self.query_batch, READ_PARAMETERS),
            ("POST", "facet"): (self.facet, READ_PARAMETERS),
        }


def handler_of(shim):
    # Local mode is not made for threads.
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_any(self):
            url = urlsplit(self.path)
            try:
                body = self.body()
                if url.path == "/":
                    return self.answer(200, {"title": "qdrant shim", "version": version("qdrant-client")})
                with lock:
                    result = plain(shim.route(self.command, url.path, set(parse_qs(url.query)), body))
                self.answer(200, {"result": result, "status": "ok", "time": 0.0})
            except Refused as error:
                self.answer(error.status, {"status": {"error": str(error)}, "time": 0.0})
            except KeyError as error:
                self.answer(404, {"status": {"error": f"Not found: No point with id {error}"}, "time": 0.0})
            except (ValueError, TypeError, AssertionError) as error:
                self.answer(400, {"status": {"error": f"Wrong input: {error}"}, "time": 0.0})

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any

        def body(self):
            size = int(self.headers.get("content-length") or 0)
            if size > MAX_BODY_BYTES:
                # Not read, so the connection is of no more use.
                self.close_connection = True
                raise Refused(413, f"JSON payload ({size} bytes) is larger than allowed (limit: {MAX_BODY_BYTES} bytes).")
            raw = self.rfile.read(size)
            if not raw:
                return None
            try:
                parsed = json.loads(raw, parse_constant=lambda name: 1 / 0)
                if b"\\ud" in raw.lower():
                    # A lone surrogate is no text.
                    json.dumps(parsed, ensure_ascii=False).encode()
                return parsed
            except (ValueError, ZeroDivisionError) as error:
                raise Refused(400, f"Format error in JSON body: {error}") from error

        def answer(self, status, value):
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    return Handler


def end_with_parent():
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)


def main():
    port, directory, host = int(sys.argv[1]), sys.argv[2], (sys.argv[3:] or ["127.0.0.1"])[0]
    threading.Thread(target=end_with_parent, daemon=True).start()
    warnings.filterwarnings("ignore")
    ThreadingHTTPServer.request_queue_size = 128
    ThreadingHTTPServer((host, port), handler_of(Shim(directory))).serve_forever()


main()
