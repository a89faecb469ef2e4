"""The OpenAPI document as one page that needs no network and no script."""

from __future__ import annotations

import html
import json
from typing import Any

_STYLE = """
body { font: 16px/1.5 sans-serif; color: #1b1b1b; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
pre { background: #f3f3f3; padding: .8rem; overflow-x: auto }
h2 { border-top: 1px solid #ccc; padding-top: 1rem } code { background: #f3f3f3 }
table { border-collapse: collapse } td, th { border: 1px solid #ccc; padding: .3rem .6rem; text-align: left }
"""


def documentation_page(document: dict[str, Any]) -> str:
    """HTML page of an OpenAPI document: every operation, its schemas and examples."""
    info = document["info"]
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f"<title>{_text(info['title'])}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{_text(info['title'])}</h1><p>{_text(info['description'])}</p>",
        '<p>The same as a machine reads it: <a href="/openapi.json">/openapi.json</a>.</p>',
    ]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(_operation(path, method, operation))
    parts.append("<h2>Schemas</h2>")
    for name, schema in document["components"]["schemas"].items():
        parts.append(f'<h3 id="{_text(name)}">{_text(name)}</h3>{_code(schema)}')
    parts.append("</body></html>")
    return "\n".join(parts)


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parts = [
        f"<h2><code>{method.upper()} {_text(path)}</code></h2>",
        f"<p><strong>{_text(operation['summary'])}.</strong> "
        f"{_text(operation.get('description', ''))}</p>",
    ]
    for parameter in operation.get("parameters", []):
        name, said = _text(parameter["name"]), _text(parameter["description"])
        parts.append(f"<p>Query parameter <code>{name}</code>: {said}</p>")
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<p>Request body, <code>{_text(kind)}</code>: {_schema(content)}</p>")
        for example in content.get("examples", {}).values():
            value = example["value"]
            parts.append(f"<pre>{_text(value)}</pre>" if isinstance(value, str) else _code(value))
    rows = "".join(
        f"<tr><td>{_text(status)}</td><td>{_text(response['description'])}</td></tr>"
        for status, response in operation["responses"].items()
    )
    parts.append(f"<table><tr><th>answer</th><th>meaning</th></tr>{rows}</table>")
    return "\n".join(parts)


def _schema(content: dict[str, Any]) -> str:
    schema = content.get("schema", {})
    names = [one.get("$ref", "").split("/")[-1] for one in schema.get("oneOf", [schema])]
    links = [f'<a href="#{_text(name)}">{_text(name)}</a>' for name in names if name]
    return " or ".join(links) or "text"


def _code(value: Any) -> str:
    return f"<pre>{_text(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"


def _text(value: Any) -> str:
    return html.escape(str(value))
