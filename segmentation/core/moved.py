"""Where each module of the version without rooms is now, for notebooks forked from it.

The page *Upgrading* of the book shows the same table.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.machinery import PathFinder

_ROOMS = {
    "core": """atomic drift errors guarded_csv rule_files yaml_text schema>columns
        evidence.intervals>intervals params>parameters side_by_side>threads""",
    "sources": """demo engine snapshot text_encoding zip_member source_checks>checks
        workbook_reader>excel raw_files>files source_links>links source_sql>source""",
    "sources.mysql": "mysql_answers>answers mysql_dialect>dialect engine_mysql>engine mysql>server",
    "sources.spark": """spark_dialect>dialect engine_spark>engine spark_place>place
        spark_session>session spark_tables>tables""",
    "orders": """clean date_swap fetch findings date_findings>dates special_lines>returns
        explore>summaries ingest>transactions""",
    "customers": """concentration features prepare findings_stage>date_outcomes
        geometry>preparation order_stages>read_orders""",
    "segments": """group_model large_kmeans model model_checks portraits reasons anomalies>dbscan
        anomalies.dbscan>dbscan cluster>kmeans evidence.projection>map naming>names
        segments>table""",
    "evidence": """anomalies.tuning>anomalies evidence.btyd>buying evidence_stages>by_group
        holdout_stage>holdout sensitivity_stage>sensitivity""",
    "actions": """campaign campaign_plan compare recommend support>limits_of_advice
        returns_stage>returns_choice""",
    "run": """model_stages>stages stage_cache>cache run_comparison>compare_runs
        helping_process>forks pipeline>run stage_table>stages""",
    "deliver": """api materialize mysql_tables publish reduce run_folder score score_parts
        scoring_sql workbook campaign_files>campaign_lists single_run>make_run
        cluster_outputs>on_cluster""",
    "book": """plots remembered_notebooks report style warm_kernels explorer>explorer_page
        notebooks_at_work>notebooks book>pages book_press>pages kernel_mother>warm_kernels
        insights>words""",
}
MOVED = {
    old: f"{room}.{new or old}"
    for room, modules in _ROOMS.items()
    for old, _, new in (pair.partition(">") for pair in modules.split())
}


class MovedModules:
    """First of ``sys.meta_path``: what an upgraded checkout keeps of a package's folder is no module."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: object = None) -> None:
        """Refuse a module, or anything in it, that an earlier version had elsewhere.

        Raises
        ------
        ModuleNotFoundError
            In one sentence, with the new place.
        """
        package, _, old = name.partition(".")
        while package == "segmentation" and old:
            if old in MOVED and getattr(PathFinder.find_spec(name, path), "origin", None) is None:
                raise ModuleNotFoundError(
                    f"segmentation.{old} is now segmentation.{MOVED[old]}; the book's page "
                    "Upgrading lists what moved and what `from segmentation import ...` gives."
                )
            old = old.rpartition(".")[0]
