"""Our contract before another's judge: datacontract-cli, in an environment of its own.

`make test-integrations` makes the environment and says where by ``INTEGRATIONS``.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from conftest import TinyShop, call_cli, ordinary_orders

PLACE = Path(os.environ.get("INTEGRATIONS", "no_such_folder"), "datacontract")
TOOL = PLACE / "bin" / "datacontract"
pytestmark = pytest.mark.skipif(
    not TOOL.exists(),
    reason=f"needs {TOOL}: python3 -m venv {PLACE} && {PLACE}/bin/pip install "
    "datacontract-cli (make test-integrations does it)",
)


def judged(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TOOL, *map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shop = TinyShop(tmp_path_factory.mktemp("shop"))
    shop.lines(ordinary_orders())
    assert shop.run(n_clusters=2).code == 0
    return shop.result


@pytest.mark.parametrize("asked", ["cdnow", "marketplace", "customer_segmentation_data", "run"])
def test_the_contract_keeps_to_the_standard(asked, run, tmp_path):
    text = call_cli("contract", run if asked == "run" else asked).out
    contract = tmp_path / "contract.yaml"
    contract.write_text(text, encoding="utf-8")
    done = judged("lint", contract, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "valid against ODCS v3.1.0" in done.stdout
    contract.write_text(text.replace("logicalType: string", "logicalType: words"), "utf-8")
    assert judged("lint", contract, cwd=tmp_path).returncode != 0  # the judge can say no
