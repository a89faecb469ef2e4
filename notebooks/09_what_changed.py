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
# # What changed
#
# **Question.** Who fell, who rose and who comes back from quarter to quarter, and does the
# earlier model still describe the customers?
#
# **Reads** customers as they stood at each quarter's end, by today's borders, and segments and
# models of two runs. **Decides** whom to turn to first, and whether to refit. **Can mislead
# when** the runs differ in more than time: then a change of method looks like a change of
# customers. To fall is to stand in a lower segment without an order since; who ordered and stands
# lower has moved, not fallen.

# %% tags=["parameters", "hide-input"]
source: str = "cdnow"  # Where orders come from: a shipped source, or a path to a source SQL file.
currency: str = "USD"  # ISO 4217 code of the account currency; a label, nothing is converted.
runs_dir: str = "runs"  # Folder of runs and of the stage cache.

# %% tags=["hide-input"]

from segmentation import open_changes, open_run, plots, words

run = open_run(globals())
changes = open_changes(run)
found = changes.comparison
words.banner(run["overview"], run["swap"], run["findings"])

# %% mystnb={"figure": {"name": "fig-quarters", "caption": "Customers of each segment at every quarter's end, counted back from the last day observed, by today's borders; a band is the customers who were in both, in the colour of where they come from."}, "image": {"alt": "Stacked bars, one per quarter's end, the segment of the highest value on top, joined by bands of the customers who stayed, rose or fell."}} tags=["hide-input"]
colours = plots.colours_of(run["profile"], run.rules["naming_rules"])
plots.plot_movement(run["movement"], colours=colours, no_history=run["no_history"])

# %% tags=["remove-input"]
words.Prose(
    words.movement_sentence(
        run["movement"], run["slipping"], profile=run["profile"], currency=currency,
        history=run["history"], no_history=run["no_history"],
    )
)

# %% [markdown]
# ## Who comes back
#
# Customers of each segment at a quarter's end, and how many of them ordered in the quarter that
# followed. Quarters differ by season: compare one with the same one a year before, where the
# data go back so far. Who stays in a segment grows older in it and may order more rarely: a
# line that falls need not mean that the shop does worse.

# %% mystnb={"figure": {"name": "fig-retention", "caption": "Share of each segment's customers at a quarter's end who ordered in the next quarter."}, "image": {"alt": "One line per segment over the quarters' ends, with its last share and n at its end."}} tags=["hide-input"]
plots.plot_retention(run["retention"], colours=colours, no_history=run["no_history"])

# %% tags=["remove-input"]
words.Prose(words.retention_sentence(run["retention"], names=list(colours), profile=run["profile"]))

# %% [markdown]
# ## Against an earlier report

# %% tags=["remove-input"]
words.Prose(words.compared_sentence(changes))

# %% [markdown]
# Segments are recognised by the profile of their customers, never by number or name. A
# customer **moved** when the earlier model, too, now gives another segment; where only the
# later run draws the border of a segment elsewhere, the customer is counted as **redrawn**.

# %% mystnb={"figure": {"name": "fig-movement", "caption": "Customers of each segment in the earlier run, left, and where they are in the later run, right."}, "image": {"alt": "Bands of customers flowing from blocks of earlier segments on the left to blocks of later segments on the right."}} tags=["hide-input"]
plots.plot_alluvial(found and found.migration, colours=colours)

# %% tags=["remove-input"]
words.Prose(words.changes_sentence(found, currency=currency))

# %% tags=["remove-input"]
words.migration_table(found, currency=currency)

# %% [markdown]
# ## Are they still the same segments?

# %% tags=["remove-input"]
words.matching_table(found)

# %% [markdown]
# ## Drift

# %% mystnb={"figure": {"name": "fig-drift", "caption": "Population stability index of each feature: its distribution in both runs, cut at the deciles of the earlier one. Largest first; blue: the model uses the feature."}, "image": {"alt": "Horizontal bars, one per feature, longest on top, each with its index and whether the feature is stable, shifting or shifted."}} tags=["hide-input"]
plots.plot_drift(found and found.drift)

# %% tags=["remove-input"]
words.Prose(words.refit_sentence(found))

# %% tags=["remove-input"]
words.drift_table(found, currency=currency)
