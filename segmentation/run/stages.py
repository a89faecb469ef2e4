"""The whole method in order: what each stage does, what decides it and what it gives."""

from __future__ import annotations

from segmentation.actions import campaign_plan, next_steps, returns_choice
from segmentation.customers import date_outcomes, history, prepare, read_orders
from segmentation.evidence import (
    by_group,
    cuts,
    forecast,
    holdout,
    k_scores,
    other_dates,
    preferences,
    sensitivity,
    verdict,
)
from segmentation.run.stage import Others, Stage
from segmentation.segments import dbscan, table

PREPARATION = (
    *("features", "split_pre_register", "outliers", "winsor_quantile"),
    *("transform", "scaler"),
)
FITTING = ("n_init", "random_state")
FLAGGING = ("dbscan_eps", "dbscan_min_samples")
"""Parameters that decide together: what prepares, what fits centres, what flags."""
GIVEN = (
    *("snapshot", "naming_rules", "plays", "own_labels", "of_the_model", "scan_to", "progress"),
)
"""Inputs that no stage gives: the run brings them along."""


def stages_of(results: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the stages that give some results, each once, in their order."""
    wanted = {GIVEN_BY[name] for name in results if name not in GIVEN}
    return tuple(name for name in STAGES if name in wanted)


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(
            "orders",
            "orders",
            "reads the source, cleans it, accounts for every line and computes features",
            read_orders.read_orders,
            inputs=("snapshot",),
            uses=(
                *("engine", "fit_on", "time_zone", "as_of", "returns", "zero_amount"),
                *("duplicates", "non_product", "date_repair", "guest_ids", "id_cleaning"),
            ),
            gives={
                "customer_features": "one row per customer with every feature",
                "ledger": "lines, customers and money that each cleaning rule took",
                "line_findings": "what is wrong with lines",
                "order_days": "lines per day of order, as they were found",
                "registration_days": "customers per day of registration",
                "returned_lines": "lines marked as returns",
                "given_back": "what each customer gave back of the money that counts as spent",
                "special_lines": "lines that are no product",
                "raw_columns": "every raw column as it was found",
                "lines": "size and span of the clean lines",
                "monthly": "orders and revenue per month",
                "cohorts": "who buys again, by month of the first order",
                "quarters": "how concentrated revenue is, by quarter",
                "categories": "orders and revenue by category, payment and country",
                "sql": "the queries and the values bound to them",
                "overview": "source, window and sizes in a few facts",
            },
        ),
        Stage(
            "dates",
            "orders",
            "asks whether day and month of dates were exchanged",
            date_outcomes.judged_dates,
            inputs=("order_days", "registration_days"),
            uses=("date_repair",),
            gives={
                "swap": "evidence of exchanged day and month, by column",
                "days_unsure": "why days of orders are not to be counted with, or nothing",
                "days_found": "lines per day before a repair",
            },
        ),
        Stage(
            "findings",
            "orders",
            "says what is wrong with the data",
            date_outcomes.all_findings,
            inputs=("line_findings", "days_found", "registration_days", "ledger", "swap"),
            uses=("date_repair", "currency"),
            gives={
                "findings": "what is wrong with the data, one row each: how grave, what to do",
                "repair": "both outcomes of a repair of dates",
                "group_moves": "who changes registration group by the repair",
            },
            others=Others(date_outcomes.both_repairs, ("customer_features", "overview")),
        ),
        Stage(
            "cut",
            "customers",
            "reads what customers had done by a cut and what they did after it",
            read_orders.read_cut,
            inputs=("snapshot", "overview"),
            uses=(
                *("calibration_end", "fit_on", "returns", "zero_amount", "duplicates"),
                *("non_product", "date_repair", "guest_ids", "id_cleaning"),
            ),
            gives={
                "cut_features": "features known at the cut",
                "followed": "what the same customers did after it",
                "cut": "the days of the cut, or why there is none",
            },
        ),
        Stage(
            "prepared",
            "customers",
            "splits groups and puts features on one scale",
            prepare.prepare_groups,
            inputs=("customer_features", "overview"),
            uses=(*PREPARATION, "as_of"),
            gives={
                "features": "one row per customer with every feature and its group",
                "scaled": "each group in prepared space, with how it was prepared",
            },
        ),
        Stage(
            "tuning",
            "segments",
            "fits and scores every number of clusters",
            k_scores.score_every_k,
            inputs=("features", "scaled", "scan_to", "progress"),
            uses=FITTING,
            gives={
                "tuning_k": "scores of every number of clusters",
                "scan": "how many customers were measured",
                "fits": "every partition that was tried, by group",
            },
        ),
        Stage(
            "structure",
            "evidence",
            "asks whether there are clusters at all, and how many",
            by_group.structure,
            inputs=("scaled", "tuning_k", "fits", "progress"),
            uses=("random_state",),
            gives={
                "k_evidence": "every score of every number of clusters, one cluster included",
                "k_rule": "the rule's answer, by group",
            },
        ),
        Stage(
            "anomalies",
            "segments",
            "flags customers whom no dense neighbourhood reaches",
            dbscan.flag_groups,
            inputs=("scaled",),
            uses=FLAGGING,
            gives={
                "tuning_dbscan": "customers flagged under every setting",
                "k_distance": "distance to the neighbour that counts, by share of customers",
                "dbscan_choice": "the setting in use and its reason, by group",
                "flags": "who is flagged, and the core points, by group",
            },
        ),
        Stage(
            "segments",
            "segments",
            "assigns and names segments and builds the model",
            table.build,
            inputs=(
                *("features", "scaled", "fits", "flags", "ledger", "overview"),
                *("naming_rules", "own_labels", "of_the_model"),
            ),
            uses=(
                *("n_clusters", *FITTING, "features", "split_pre_register", "fit_on"),
                "anomalies_in_fit",
            ),
            gives={
                "segments": "segment, margin and flag of every customer",
                "customers": "features and segment of every customer",
                "profile": "size, revenue and typical values of every segment",
                "facts": "what each name rests on",
                "silhouettes": "how well each measured customer sits in its cluster",
                "projection": "customers on a map of two components",
                "loadings": "what the axes of the map are made of",
                "explained": "how much of the differences each axis shows",
                "chosen": "number of clusters in use and what was left out, by group",
                "model": "the model, as it is served",
            },
            if_auto=("k_rule",),
        ),
        Stage(
            "stability",
            "evidence",
            "clusters resamples of the customers again",
            by_group.stability,
            inputs=("scaled", "features", "segments", "chosen", "naming_rules", "progress"),
            uses=("random_state", "anomalies_in_fit"),
            gives={
                "stability": "how alike each segment comes back in resamples",
                "stability_whole": "how alike whole partitions are",
                "margin_flips": "who changes cluster, by margin",
                "starts": "what single starts would have said",
            },
        ),
        Stage(
            "anomaly_evidence",
            "evidence",
            "tries the anomaly flags",
            by_group.anomaly_evidence,
            inputs=(
                *("scaled", "features", "segments", "chosen", "tuning_dbscan", "flags", "progress"),
            ),
            uses=(*FITTING, "dbscan_eps", "anomalies_in_fit"),
            gives={
                "dbscan_evidence": "how steady flags are under every setting",
                "planted": "how many planted anomalies are found",
                "anomaly_effect": "who moves if anomalies are left out of the fit, or put in",
                "anomaly_agreement": "agreement of both fits, by group",
            },
        ),
        Stage(
            "sensitivity",
            "evidence",
            "fits other reasonable settings",
            sensitivity.sensitivity,
            inputs=("features", "ledger", "segments", "chosen", "progress"),
            uses=("fit_on", "returns", *PREPARATION, *FITTING, *FLAGGING, "anomalies_in_fit"),
            gives={"sensitivity": "agreement with other reasonable settings"},
            others=Others(sensitivity.other_policy, ("features", "ledger")),
        ),
        Stage(
            "returns_choice",
            "actions",
            "fits again under the other choice about returns",
            returns_choice.whom_it_moves,
            inputs=("returned_lines", "customers", "model", "overview"),
            uses=("returns", "n_clusters", "fit_on"),
            gives={
                "returns_choice": "how many customers and how much money the choice moves",
                "returns_migration": "from which segment into which",
                "returns_movers": "the customers whose spend changes most",
            },
            others=Others(returns_choice.other_policy, ("customers", "model", "overview")),
        ),
        Stage(
            "explanation",
            "evidence",
            "puts segments into rules",
            by_group.explanation,
            inputs=("scaled", "features", "segments", "projection"),
            uses=("random_state",),
            gives={
                "rules": "segments as limits of features",
                "separation": "which features tell segments apart",
                "fidelity": "how often rules and segments agree",
                "map_agreement": "how often map and segments agree",
            },
        ),
        Stage(
            "holdout",
            "evidence",
            "follows customers after a cut",
            holdout.hold_out,
            inputs=(
                *("cut", "cut_features", "followed", "model", "naming_rules", "progress"),
                *("days_unsure", "order_days"),
            ),
            uses=("as_of", *PREPARATION, "n_clusters", *FITTING, *FLAGGING, "anomalies_in_fit"),
            gives={
                "holdout_segments": "what each segment of the cut did afterwards",
                "holdout_rankings": "how well each ranking foretold revenue",
                "holdout_curve": "share of later revenue by share of customers",
                "holdout_responses": "who bought again, by today's segment",
                "holdout_today": "customers of the cut by today's borders",
                "holdout": "the hold-out in a few facts",
            },
        ),
        Stage(
            "history",
            "customers",
            "reads what customers had done by the end of each quarter",
            history.read_history,
            inputs=("snapshot", "overview", "cut", "days_unsure"),
            uses=(
                *("fit_on", "returns", "zero_amount", "duplicates", "non_product", "date_repair"),
                *("guest_ids", "id_cleaning"),
            ),
            gives={
                "history": "customers at the end of each quarter, and what they did next",
                "no_history": "why there are no quarters' ends, or nothing",
            },
        ),
        Stage(
            "other_dates",
            "evidence",
            "asks who would stay in each segment if the dates of orders were put right",
            other_dates.other_dates,
            inputs=("days_unsure", "segments", "chosen", "model"),
            uses=("fit_on", *PREPARATION, *FITTING, *FLAGGING, "anomalies_in_fit"),
            gives={
                "other_dates": "who would stay in each segment with the dates put right",
                "other_dates_agreement": "agreement with segments fitted on those dates",
            },
            others=Others(other_dates.put_right, ("features",)),
        ),
        Stage(
            "preferences",
            "evidence",
            "says what each segment buys more and less than others, and what its goods cost",
            preferences.preferences,
            inputs=("snapshot", "overview", "segments", "days_unsure"),
            uses=(
                *("engine", "fit_on", "returns", "zero_amount", "duplicates", "non_product"),
                *("date_repair", "guest_ids", "id_cleaning"),
            ),
            gives={
                "preferences": "share of spend by category, product, country, payment and season",
                "margins": "revenue and cost of the lines whose cost the source names",
            },
        ),
        Stage(
            "forecast",
            "evidence",
            "says what each customer will do next, and how such forecasts turned out",
            forecast.forecast,
            inputs=("features", "history", "no_history", "segments", "model", "overview"),
            uses=("outcome_days", "split_pre_register"),
            gives={
                "forecast": "chance to order, orders and value expected of every customer",
                "forecast_calibration": "predicted and observed orders by tenths of customers",
                "forecast_facts": "the fitted model, or why nothing is forecast",
                "order_anyway": "share of each segment that will order anyway, with its interval",
                "order_anyway_before": "the same asked at earlier quarters, and what came",
            },
        ),
        Stage(
            "cuts",
            "evidence",
            "makes the lists again at the end of each quarter",
            cuts.cuts,
            inputs=("history", "chosen", "model", "naming_rules"),
            uses=(*PREPARATION, *FITTING, *FLAGGING, "anomalies_in_fit", "outcome_days"),
            gives={"holdout_cuts": "share of later revenue that each list caught, cut by cut"},
        ),
        Stage(
            "trial",
            "actions",
            "reads out a campaign that never was",
            campaign_plan.read_out_nothing,
            inputs=("holdout", "holdout_today"),
            uses=("random_state",),
            gives={"holdout_aa": "read-out of a trial in which nobody was contacted"},
        ),
        Stage(
            "recommendations",
            "actions",
            "says what to do about each segment, with its break-even",
            campaign_plan.advise,
            inputs=(
                *("customers", "stability", "holdout", "holdout_responses", "order_anyway"),
                *("line_findings", "naming_rules", "plays", "margins"),
            ),
            uses=("gross_margin", "contact_cost", "currency", "random_state"),
            gives={
                "recommendations": "one play per segment with audience, money and break-even",
                "campaign_sizes": "what a test of each size can show",
                "campaign_arms": "both lists of every recommended campaign",
                "campaign_plan": "the campaigns and their tests",
            },
        ),
        Stage(
            "verdict",
            "evidence",
            "compares the segments with cuts through one smooth population of buyers",
            verdict.verdict,
            inputs=(
                *("features", "tuning_k", "k_rule", "chosen", "stability", "holdout_rankings"),
            ),
            uses=(*PREPARATION, "random_state"),
            gives={"verdict": "what may be believed of each group's segments"},
        ),
        Stage(
            "next_steps",
            "actions",
            "says who moved, who is slipping away and whom to call first",
            next_steps.next_steps,
            inputs=(
                *("history", "customers", "model", "campaign_arms", "line_findings"),
                *("forecast_facts", "overview", "margins", "given_back"),
            ),
            uses=("split_pre_register", "gross_margin", "contact_cost", "call_cost"),
            gives={
                "movement": "customers and money between segments, quarter by quarter",
                "retention": "customers of each segment who order in the next quarter",
                "slipping": "who fell a segment or fell silent in the last quarter",
                "slipped_before": "who had slipped a quarter ago, and how many of them ordered since",
                "call_first": "customers by the value that is at risk, with the reason",
                "call_first_facts": "what calling them costs, and who is not on the list",
            },
        ),
    )
}
GIVEN_BY = {result: stage.name for stage in STAGES.values() for result in stage.gives}
"""Name of the stage of every result."""
