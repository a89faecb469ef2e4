"""Where a run's tables are from: an OpenLineage event, and the command that makes them again.

The event is a file; whoever keeps lineage sends it. https://openlineage.io/docs/spec/object-model
"""

from __future__ import annotations

import json
import shlex
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow.parquet as pq

from segmentation.core.columns import column_of
from segmentation.core.parameter_fields import FILES
from segmentation.core.parameters import PATHS, Parameters, resolve_path, value_from_text
from segmentation.deliver.run_places import MANIFEST, Asked
from segmentation.sources.source import shown_path

LINEAGE = "openlineage.json"
SPEC = "https://openlineage.io/spec"
EVENT_SCHEMA = f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
FACETS = {
    "schema": "1-0-0/SchemaDatasetFacet",
    "version": "1-0-0/DatasetVersionDatasetFacet",
    "processing_engine": "1-1-0/ProcessingEngineRunFacet",
}


def write_lineage(folder: Path, parameters: Parameters) -> None:
    """Write the event of a finished run beside its manifest, from that and the tables there."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    written = (folder / MANIFEST).stat().st_mtime
    program = manifest["program"]
    producer = f"urn:customer-segmentation:{program['segmentation']}"
    database, prefix = _namespace(parameters.location)
    keys = [stage["key"] for stage in manifest["stages"]]
    decides = json.dumps([manifest["profile"], program, manifest["inputs"], keys])
    tables = [name for name in ("features", "segments") if (folder / f"{name}.parquet").is_file()]

    def facets(**found: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: {
                "_producer": producer,
                "_schemaURL": f"{SPEC}/facets/{FACETS[name]}.json#/$defs/{FACETS[name].split('/')[1]}",
                **facet,
            }
            for name, facet in found.items()
        }

    event = {
        "eventType": "COMPLETE",
        "eventTime": datetime.fromtimestamp(written, tz=UTC).isoformat(timespec="seconds"),
        "producer": producer,
        "schemaURL": EVENT_SCHEMA,
        "run": {
            "runId": str(uuid.uuid5(uuid.NAMESPACE_URL, decides)),
            "facets": facets(
                processing_engine={"name": "segmentation", "version": program["segmentation"]}
            ),
        },
        "job": {"namespace": "segmentation", "name": manifest["name"]},
        "inputs": [
            {
                "namespace": database,
                "name": prefix + name.removeprefix("table "),
                "facets": facets(version={"datasetVersion": _version(known)}),
            }
            for name, known in manifest["inputs"].items()
        ],
        "outputs": [
            {
                "namespace": "file",
                "name": f"{manifest['folder']}/{table}.parquet",
                "facets": facets(schema={"fields": _fields(folder / f"{table}.parquet")}),
            }
            for table in tables
        ],
    }
    text = json.dumps(event, indent=2, ensure_ascii=False)
    (folder / LINEAGE).write_text(text + "\n", encoding="utf-8")


def command_of(asked: Asked, name: str) -> str:
    """The command that, typed in the folder of runs, makes the same run again.

    Examples
    --------
    >>> command_of(Asked("cdnow", Parameters(), changed={"k_max": {"run": 6}}), "trial")
    'segmentation run cdnow -p k_max 6 --name trial --runs-dir .'
    """
    words = ["segmentation", "run", asked.place or asked.profile, *changes_typed(asked.changed)]
    if name != asked.profile:
        words += ["--name", name]
    return shlex.join([*words, "--runs-dir", "."])


def changes_typed(changed: Mapping[str, Any], *, for_page: bool = False) -> list[str]:
    """An experiment's own parameters as they are typed; for a page without a place of this machine."""
    words = []
    for parameter, values in changed.items():
        of_page = for_page and parameter in PATHS and isinstance(values["run"], str)
        typed = shown_path(values["run"]) if of_page else _typed(parameter, values["run"])
        words += ["-p", parameter, typed]
    return words


def changes_in(command: str) -> list[str]:
    """An experiment's own parameters in the command that a manifest says.

    Examples
    --------
    >>> changes_in("segmentation run cdnow -p k_max 6 --name trial --runs-dir .")
    ['-p', 'k_max', '6']
    """
    words, end = shlex.split(command), 3
    while words[end : end + 1] == ["-p"]:
        end += 3
    return words[3:end]


def _typed(parameter: str, value: Any) -> str:
    """A value as it is typed; a path so that it means the same from elsewhere."""
    if isinstance(value, str):
        is_path = parameter == "location" or value.endswith(FILES)
        if parameter in PATHS and is_path and "://" not in value:
            return str(resolve_path(value))
        if value_from_text(value) == value:
            return value
    return json.dumps(value, ensure_ascii=False)


def _namespace(location: str) -> tuple[str, str]:
    """What an input's name is unique in: no user, no option file, no folder of this machine."""
    if "://" not in location:
        return "file", ""
    place = urlsplit(location)
    host = place.hostname or ""
    at = f"{host}:{place.port}" if place.port else host
    return f"{place.scheme}://{at}", f"{place.path.strip('/')}." if place.path.strip("/") else ""


def _version(known: Mapping[str, Any]) -> str:
    return str(known.get("sha256") or json.dumps(known, sort_keys=True))


def _fields(table: Path) -> list[dict[str, str]]:
    return [
        {"name": one.name, "type": str(one.type), "description": column_of(one.name).meaning}
        for one in pq.read_schema(table)
    ]
