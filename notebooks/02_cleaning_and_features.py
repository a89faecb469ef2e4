# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Cleaning and features
#
# **Question.** Which order lines count, where did the others go, and what is known of each
# customer?
#
# **Reads** the order lines. **Decides** which lines are kept, and every customer's features.
# **Can mislead when** the source's own validity flag is wrong: an order it calls invalid is
# believed to be so.

# %% tags=["parameters"]
source: str = "cdnow"  # Where orders come from: a shipped source, or a path to a source SQL file.
returns: str = "exclude"  # exclude: sales only; net: returns reduce the customer's units and spend.
features: list = ["recency", "frequency", "total_spent"]  # Features that K-Means and DBSCAN see.
currency: str = "USD"  # ISO 4217 code of the account currency; a label, nothing is converted.
runs_dir: str = "runs"  # Folder of runs and of the stage cache.

# %%
import seaborn as sns
from IPython.display import Markdown

from segmentation import open_run, plots, words
from segmentation.core.columns import RULE_WORDS

run = open_run(globals())
words.banner(run["overview"], run["swap"], run["findings"])

# %% [markdown]
# ## Ledger
#
# Rules never delete: a line is set aside under the first rule that it meets and stays in the
# ledger, so rows and money always add up.

# %%
# By rules of your own, on lines that you may change first:
#   lines = segmentation.read_orders(source)
#   cleaned = segmentation.clean(lines, returns="net", duplicates="drop", non_product="drop")
#   features_of_mine = segmentation.customer_features(cleaned.lines)   # cleaned.ledger is the table below
ledger = run["ledger"]
words.ledger_table(ledger)

# %% mystnb={"figure": {"name": "fig-ledger", "caption": "Lines and money set aside by each rule."}, "image": {"alt": "Two horizontal bar charts, one bar per cleaning rule that met any line: lines set aside, and the money on them."}}
raw, kept = ledger.iloc[0], ledger.iloc[-1]
rules = ledger.iloc[1:-1].query("rows > 0").sort_values("rows", ascending=False)
rules = rules.assign(rule=rules["rule"].map(RULE_WORDS), amount=rules["amount"].astype(float))
rules = rules.assign(rows_share=rules["rows"] / raw["rows"], amount_share=rules["amount"] / (float(raw["amount"]) or float("nan")))
plots.draw(
    sns.barplot, rules, x=["rows", "amount"], y="rule", currency=currency, of_groups=True,
    labels={"rows": "Lines set aside (lines, share of raw)", "amount": f"Money set aside ({currency}, share of raw)"},
    note=f"Kept: {kept['rows']:,} of {raw['rows']:,} lines.", nothing=f"Nothing was set aside: all {raw['rows']:,} raw lines were kept.",
)

# %%
Markdown(words.ledger_sentence(ledger, currency=currency))

# %% [markdown]
# ## Lines that are no ordinary sale
#
# Lines that nobody can be named for, goods that came back, orders that the source itself does
# not count, postage and fees: each is counted here whichever rule it met first.

# %%
words.special_lines_table(run["special_lines"], currency=currency)

# %%
Markdown(words.special_lines_sentence(run["special_lines"], currency=currency))

# %%
Markdown(
    words.returns_sentence(
        run["returned_lines"], policy=returns, currency=currency, findings=run["findings"]
    )
)

# %% [markdown]
# ## Whom the choice about returns moves
#
# Returns can be set aside or deducted. Neither is right for every question: set aside, a
# customer who sends everything back looks like one who kept it.

# %%
Markdown(words.returns_choice_sentence(run["returns_choice"], policy=returns, currency=currency))

# %%
words.returns_migration_table(run["returns_migration"], currency=currency)

# %%
words.returns_movers_table(run["returns_movers"], currency=currency)

# %% [markdown]
# ## Features
#
# One row per customer, computed from kept lines up to the last day of observation.

# %%
customers = run["features"]
words.feature_table(customers, currency=currency, names=features)

# %% [markdown]
# ## Registration groups

# %%
Markdown(words.group_sentence(customers, currency=currency))

# %%
words.Prose(words.precision_sentence(customers, run["findings"]))

# %% [markdown]
# ## The queries
#
# Cleaning, then features, as run.

# %%
Markdown(words.cleaning_sql(run["sql"]))

# %%
Markdown(words.features_sql(run["sql"]))
