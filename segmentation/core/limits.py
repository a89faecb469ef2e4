"""Every threshold of the method, once: its value, what it means, why it is so, whose it is.

A number belongs here if another value would change a flag, a word, a test's outcome, whether
something is computed at all, or how many draws stand behind a published figure; parameters,
rules that are data (YAML), limits of readers and servers, block sizes, tolerances, layout do not.
Each docstring says what, why and from where (else own choice); the method page prints them.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

# core: words every room needs
PSI_BINS = 10
"""Bins of a feature in the population stability index.
Why: ten equally full bins tell a shift apart and stay large enough in small samples.
Source: Siddiqi 2006, Credit Risk Scorecards"""
PSI_WATCH = 0.1
"""Population stability index from which a feature is shifting.
Why: the customary level of attention.
Source: Siddiqi 2006, Credit Risk Scorecards"""
PSI_REFIT = 0.25
"""Population stability index from which a feature has shifted and asks who would move by a new fit.
Why: the customary level of action.
Source: Siddiqi 2006, Credit Risk Scorecards"""
LEAST_CUSTOMERS = 30
"""Customers below which nothing is concluded of a group, segment, cluster or quarter, and repeat buyers below which no buying model is fitted.
Why: neither the outcome of a campaign nor the stability of a segment can be measured below it.
Source: rule of thumb of the field"""
REVENUE_DRAWS = 400
"""Resamples of customers behind an interval of revenue or of its concentration.
Why: the ends of a 95% interval rest on ten draws each."""
BOOTSTRAPS = 200
"""Resamples of customers behind an interval of the hold-out or of the agreement of two settings.
Why: the ends of a 95% interval rest on five draws each; every draw ranks all customers again."""
MONEY_RESAMPLE = 0.25
"""Part of the customers in each resample behind an interval of later money or of concentration.
Why: where few customers bring most, as many draws as customers hold the truth too seldom.
Source: Romano and Wolf 1999, subsampling for the mean of heavy tails"""
MOST_MEANS = 20.0
"""Times a measure of money (or the interval's low end) above which its interval says nothing.
Why: resamples without the few who bring most are then told apart from those with them, not more."""
MANY_CUSTOMERS = 100_000
"""Customers above which fewer resamples are drawn.
Why: intervals are narrow then anyway."""
FEW_DRAWS = 60
"""Resamples of more customers than that.
Why: enough for ends that hardly move at such sizes."""
QUARTER_DAYS = 90
"""Days of the trial without a campaign, and how far back a comparison with an earlier state looks.
Why: a quarter, the usual rhythm of such a report."""

# orders: what is wrong with the data
FAR_OFF_DAYS = 365
"""Days between dates and all others from which they may be far off.
Why: a shop that is silent for a year has no such order in between."""
FAR_OFF_SHARE = 0.01
"""Share of all lines up to which dates so far away are a finding.
Why: more than that is a part of the history, not a slip."""
LONE_GAP_DAYS = 30
"""Days without a kept line beyond which few lines do not move the last day.
Why: a shop that goes on has orders within a month; a date written wrongly has none beside it."""
LONE_LEAST_DAYS = 20
"""Days with a kept line before such a gap that it takes to say so.
Why: of fewer nobody knows how quiet the shop is."""
SURPRISING_GAP = 0.01
"""Runs of days without a line that are to be expected by chance, below which one is a gap.
Why: quiet days of a small shop are no finding."""
LEAST_EXPECTED = 20
"""Customers expected to have registered after the 28th from which none at all is a finding.
Why: chance alone gives none less often than once in 100 million."""
PRECISION_DAYS = 31
"""Days by which a first order may lie before a registration that is right to the month only.
Why: no month is longer.
Source: calendar"""
SWAP_LEAST_MONTHS = 2
"""Months of early days only, outside the range, that an exchange of day and month needs.
Why: a single one is how an export that stops in mid-month looks."""
SWAP_LEAST_ROWS = 30
"""Rows outside the range that the sign of such an exchange needs.
Why: a handful of rows may lie on early days by chance."""
SWAP_STRONG = 0.99
"""Share of the rows outside the range that the exchange must bring back for a strong sign.
Why: the exchange must explain nearly all of them."""
SWAP_LEFT = 0.1
"""Share of the lines to be expected on a month's first twelve days up to which it lacks them.
Why: its own day of the month's number stays, and a quiet fortnight keeps more."""
SWAP_MODERATE = 0.9
"""Share of them from which the sign is moderate.
Why: worth a look, not a repair."""
LINE_SHARE = 0.01
"""Share of all revenue from which a single line is outlandish.
Why: it moves the means that segments are named by."""
TEN_LARGEST_SHARE = 0.1
"""Part of all revenue from which the ten largest customers are to be known by name.
Why: a tenth of the business is ten conversations."""
CUSTOMER_SHARE = 0.05
"""Share of all revenue from which one customer, or what came back, is said before all else.
Why: a customer may be large, but one in twenty of all money is to be looked at."""
LEAST_ORDERS = 10
"""Orders of several lines that a sign in their lines needs.
Why: a handful may be alike by chance."""
ALIKE_BY_QUANTITY = 0.2
"""Share of the orders with lines of different units from which one amount on all is a total.
Why: five units rarely cost what two of something else cost.
Source: measured"""
ALIKE_BY_PRODUCT = 0.9
"""Share of orders of one line per product, or of a word on one line, from which the same is asked.
Why: shops of one price, or of few, have many such orders."""
TOTAL_GROWTH = 1.25
"""Times the amount of orders of one line from which such an amount is a total for sure.
Why: a total grows with the lines of its order, a price does not."""
GRAVE_SHARE = 0.05
"""Share of the revenue from which money that is lost, nobody's or counted again is severe.
Why: no segment's share of revenue is to be believed more closely than that."""
LARGE_SHARE = 0.25
"""Share of the revenue from which one line, one customer or what cannot be used is severe.
Why: the report is then about the other three quarters."""
TIMES_THE_MEAN = 100
"""Times the mean that such a line or customer must have besides.
Why: in a shop of few customers a large share is no surprise."""
GUEST_TIMES_MEAN = 10
"""Times the mean number of orders from which an id may stand for many people.
Why: a busy customer orders several times as often as others, hardly ten times."""
GUEST_TIMES_NEXT = 3
"""Times the orders of the next busiest id besides, where its text says nothing.
Why: among customers the busiest are close to one another; a bucket of guests stands apart."""
MOST_GUESTS = 5
"""Ids that may stand apart so.
Why: a shop has a few such buckets, one a till or country; more are customers of another kind."""
MOST_ODD_IDS = 2_000_000
"""Ids that need a repair and come from a cluster to this machine, at most.
Why: about a gigabyte of memory; more are a column that nobody cleaned, which a SELECT does."""
LEAST_CUT_IDS = 5
"""Ids of 16 digits and more that end in zeros, from which on they were cut.
Why: by chance one in ten ends so, five of five in one of 100,000 tables."""
CUT_SHARE = 0.9
"""Share of such long ids that end in zeros.
Why: a spreadsheet cuts every one of them; some rows may come from elsewhere."""

# customers: one row a customer
TOP_SHARES = (0.01, 0.05, 0.10, 0.20)
"""Shares of customers whose part of the revenue is told.
Why: the steps at which concentration is usually quoted.
Source: convention"""

MOST_QUARTERS = 8
"""Ends of quarters before the last day of observation at which customers are looked at again.
Why: two years show a season twice; each costs one more reading."""

# segments: who is alike

LARGE_GROUP = 200_000
"""Customers up to which a fit is scikit-learn's own, bit for bit.
Why: beyond, random starts on a sample find the same optimum (benchmarks/results.json).
Source: measured"""
EXACT_SILHOUETTE_CUSTOMERS = 40_000
"""Customers up to which the silhouette of everybody is computed.
Why: its price grows with the square of the customers.
Source: measured"""
SAMPLED_SILHOUETTE_CUSTOMERS = 4_000
"""Customers measured against all customers beyond that.
Why: an unbiased estimate of the same mean, its 95% interval at most 0.031 to either side.
Source: normal approximation"""
STRONG_STRUCTURE = 0.71
"""Mean silhouette from which structure is called strong.
Why: the published reading.
Source: Kaufman and Rousseeuw 1990, table 4"""
REASONABLE_STRUCTURE = 0.51
"""Mean silhouette from which structure is called reasonable; below, it is a weakness.
Why: the published reading.
Source: Kaufman and Rousseeuw 1990, table 4"""
WEAK_STRUCTURE = 0.26
"""Mean silhouette from which structure is called weak; below, there is no substantial one.
Why: the published reading.
Source: Kaufman and Rousseeuw 1990, table 4"""
REASON_QUANTILES = (0.01, 0.99)
"""Quantiles of its group beyond which a value is named as a reason of an anomaly.
Why: one customer in a hundred at either end is rare enough to be the reason."""
KNEE_WIDTH = 0.005
"""Part of its depth by which the k-distance curve may be less deep and is still at its knee.
Why: a single furthest point jumps with a few customers more; so flags of a week earlier agree 88% and more.
Source: measured"""
BORDERLINE_MARGIN = 0.1
"""Margin below which a customer is borderline.
Why: the lowest tenth of the scale; how often such customers flip is shown."""
NAME_TRUE_OF = 0.7
"""Share of a segment's customers of whom its name must be true.
Why: a name is heard as said of each customer; less, and it is the mean's, or one customer's."""
NAME_OF_MONEY = 0.2
"""Difference of the customers and of the money a name is true of, from which both are said.
Why: a name is heard of the segment's money too; a fifth of it is not left out."""
LABELS_FOLLOWED = 0.99
"""Share of customers to whom the nearest centre must give their own label, to export the model.
Why: a new customer gets by the centres what the labels would say, but for one in a hundred."""
LEAST_ALIKE = 10
"""Customers behind a journey, a cohort or typical values, at least.
Why: nobody can be recognised in the middle of ten."""

# evidence: reasons to believe or doubt

AUTO_K_RANGE = (2, 8)
"""Numbers of clusters that the automatic choice looks at.
Why: fixed, whatever range is scanned: a choice must not move with the range that a chart shows."""
LEAST_EXCESS = 0.05
"""Silhouette above that of one structureless cloud which a split must reach.
Why: K-Means splits anything; less cannot be seen."""
SURE = 3.0
"""Simulation errors by which a split must beat data without structure.
Why: stricter than the customary one error, for several numbers of clusters are tried at once.
Source: own choice (Tibshirani, Walther and Hastie 2001 take one)"""
LEAST_AGREEMENT = 0.8
"""Adjusted Rand index that two halves must reach; below it another setting divides otherwise.
Why: lower, who is in which segment depends on who was drawn or on taste."""
KEPT_EXCESS = 0.75
"""Part of the largest excess silhouette that a finer split must keep to be considered.
Why: detail may cost some separation, not most of it."""
LEAST_RISE = 0.1
"""Gap that each cluster more must add to a coarser split.
Why: inertia falls by a tenth more than without structure; cutting a wide cloud adds less."""
NARROW = 0.05
"""Difference of excess silhouette below which two numbers of clusters are nearly as good.
Why: the same step that the test of excess asks for."""
SPLITS = 10
"""Cuts into two halves whose agreement is averaged.
Why: the price of two fits each; the range of all is shown beside the mean."""
MOST_IN_SPLIT = 20_000
"""Customers of a group that are cut into halves; of more, a seeded sample.
Why: the price stays bounded, and chance moves halves of 10,000 little."""
REFERENCES = 10
"""Sets of customers without structure that a split is compared with.
Why: their spread is the error by which a gap is judged."""
REFERENCE_CUSTOMERS = 10_000
"""Points of such a set at most; its sum of squares is scaled up in proportion.
Why: the price of ten sets for every number of clusters."""
NULL_CUSTOMERS = 1_000
"""Points of a set on which the silhouette without structure is measured.
Why: a mean of a thousand silhouettes is right to about 0.01."""
STABILITY_RESAMPLES = 100
"""Bootstrap resamples, and halves, on which customers are clustered again.
Why: the error of a mean is then a tenth of the spread that is shown beside it."""
NAMED_RESAMPLES = 25
"""Resamples on which clusters are named again.
Why: a name that is easily lost shows on a quarter of the resamples too."""
RESAMPLE_STARTS = 5
"""Cold starts of a fit on a resample.
Why: with fewer a poor start would count as instability."""
MOST_RESAMPLED = 50_000
"""Customers of a group that are resampled; of more, a seeded sample.
Why: the price stays bounded, and chance moves so many customers little."""
UNSTABLE_JACCARD = 0.6
"""Mean Jaccard index below which a cluster is unstable.
Why: such a cluster should not be trusted.
Source: Hennig 2007"""
STABLE_JACCARD = 0.75
"""Mean Jaccard index from which a cluster is stable.
Why: it is a valid pattern then.
Source: Hennig 2007"""
DISSOLVED_JACCARD = 0.5
"""Jaccard index up to which a cluster is dissolved on a resample.
Why: no cluster there has more than half in common with it.
Source: Hennig 2007"""
SEED_STARTS = 50
"""Single random starts that are fitted to see how much a start matters.
Why: a share of starts is told to two per cent."""
SAME_INERTIA = 1e-4
"""Part of the best inertia within which a start reaches it.
Why: less is where an iteration was stopped, not another division."""
FLAG_SUBSAMPLES = 10
"""Subsamples on which anomalies are flagged again.
Why: each customer is left out about once."""
FLAG_KEPT = 0.9
"""Part of the customers in each: a random tenth is set aside.
Why: flags must not hang on any tenth."""
PLANTED = 200
"""Anomalies of each kind that are planted to see whether they are found.
Why: a share of them is told to within seven points.
Source: normal approximation"""
WORTH_FACTOR = 2.0
"""Factor between Gamma-Gamma's mean order value and the one seen, beyond which it is not used.
Why: a model that misses what is known cannot value what is not."""
CAMPAIGN_SHARES = (0.1, 0.2)
"""Parts of the customer base that a campaign is imagined to reach.
Why: the top tenth and the top fifth are what is usually contacted.
Source: convention"""
LEAST_TOP = 0.05
"""Share of customers below which the top segment is not compared as a campaign of its own.
Why: too few customers."""
MISSED_DECILE = 0.05
"""Points by which a decile's predicted chance may lie outside the 95% interval of what came.
Why: a tenth of the customers told wrongly by more would be contacted or left for a wrong reason."""
MISSED_TOTAL = 1.5
"""Factor between predicted and observed customers who order, beyond which no forecast is given.
Why: a model off by half in the last period is not to be trusted with the next."""
SMOOTH_SETS = 8
"""Smooth populations of buyers that the customers are compared with.
Why: their spread is the error by which kinds are told from cuts."""
SMOOTH_CUSTOMERS = 2_000
"""Buyers in each of them at most.
Why: a mean of so many silhouettes is right to about 0.01."""
EVERYBODY_ALIVE = 0.01
"""Fitted chance to stop after an order, below which the model says that nobody ever stops.
Why: silence then tells it nothing, which is to be said beside its figures."""
DRIFT = 0.35
"""Usual error of a predicted share, in log odds, before any back-test has been made.
Why: a share of 10% then turns out as 7% or 14%; back-tests take its place as they come."""
DRIFT_WEIGHT = 3
"""Back-tests that this usual error counts as.
Why: the intervals of a first year stay wide."""
TREE_DEPTH = 3
"""Depth of the tree that explains clusters.
Why: a rule of at most three conditions can be said in a meeting."""
LEAST_LEAF_SHARE = 0.01
"""Share of customers that a rule must hold.
Why: smaller ones describe chance."""
EXPLAIN_FOLDS = 5
"""Parts of the customers on which rules are tried that were learnt from the others.
Why: each learns from four fifths, nearly the whole."""
PREFERENCE_VALUES = 8
"""Values of a category, product, country, payment or season that are compared, by revenue.
Why: they fit on a page; with each further one a difference by chance becomes likelier."""
PREFERENCE_POINTS = 0.02
"""Difference of two shares of spend from which a segment buys more or less of something.
Why: two points of a customer's money are the least that changes an offer."""
SEASONS_AFTER = 728
"""Days that orders go over, from which seasons are compared.
Why: two of each season; with fewer, who came late has no other season to buy in."""
PREFERENCE_CHANCE = 3.0
"""Standard errors by which the two shares must part besides.
Why: some hundred pairs are compared; at three about one in four hundred parts by chance."""

# actions: what to do, for whom

BALANCED = 0.1
"""Standardised difference of two halves' mean spend below which they count as alike.
Why: the customary reading.
Source: Austin 2009, Statistics in Medicine 28"""
ARM_BLOCK = 10
"""Customers of similar spend who are divided together into contacted and not contacted.
Why: both arms hold the same range of spend."""
FALSE_ALARM = 0.05
"""Share of comparisons without a difference in which a 95% interval shows one.
Why: what 95% leaves; more of them than comes so seldom by chance are too many."""
POWER = 0.8
"""Chance with which a test must find an effect that is there.
Why: the customary level.
Source: Cohen 1988"""
LEAST_ARM = 2
"""Customers of a segment below which it is not divided into two arms.
Why: an arm needs somebody."""
MOSTLY_ONCE = 0.5
"""Share of one-time buyers from which a segment is none for others to be led to.
Why: most of its customers never came back."""
LEAST_RESPONSES = 20
"""Times that customers were seen to order, from which these orders say a response's worth.
Why: of twenty the middle is known to a factor of two; where the mean lies far above it, it counts.
Source: own choice"""
PLAUSIBLE_RISE = 1.0
"""Rise that a contact may be expected to bring at most, in times of the share that orders anyway.
Why: in that experiment one e-mail took buyers within two weeks from 0.57% to 1.25% at best; most do less, and where many order anyway a doubling is out of reach.
Source: Hillstrom 2008, MineThatData e-mail challenge"""
PLAUSIBLE_PART = 0.5
"""Part of those who would stay away that a contact may win at most.
Why: half of the unwilling is more than any letter does."""
ASSUMED_MARGIN = 0.3
"""Share of revenue left after the cost of goods, where neither profile nor source says it.
Why: a placeholder, to replace by your own figure."""
LEAST_COSTED = 0.8
"""Part of lines whose cost the source must name for its own margin to be used.
Why: where a fifth is left out, the rest may well be goods of another margin."""
ONE_ORDER_MARGIN = 0.01
"""Change of the shop's own margin by a single order from which it is said.
Why: a point moves every break-even by a twentieth or so; no rate should hang on one order."""
CALL_TIMES = 5
"""A telephone call to a customer in times of one written contact, until call_cost is set.
Why: minutes of a person's paid time; round, and an assumption to replace by your own figure."""
ONE_CUSTOMER = 0.2
"""Part of a segment's revenue from which one customer decides what is at stake.
Why: a fifth of the sum goes with one decision."""
WIDE = 0.25
"""Half an interval beside its revenue, or orders to win beside those that come anyway, that is much.
Why: a plan a quarter off is no plan, and few mailings move a quarter."""
AGREEMENT_REFIT = 0.9
"""Share of equal answers below which the earlier model no longer gives today's segments.
Why: one customer in ten would be treated otherwise."""
CHANGED_SHARE_REFIT = 0.05
"""Share of customers in segments without counterpart from which a new fit is asked for.
Why: fewer are watched."""

# book: from which figure on a sentence says so

FAR_OUT = 3.0
"""Interquartile ranges above the upper quartile beyond which a value is far out.
Why: such values are shown; nobody is removed for them.
Source: Tukey 1977, outer fence"""
STRONG_CORRELATION = 0.7
"""Rank correlation from which two features tell much of the same.
Why: they share about half of their variance then."""
SKEWED = 1.0
"""Skewness above which a feature has a long right tail.
Why: the mean no longer stands for the middle.
Source: rule of thumb of the field"""
MISPLACED_CLUSTER = 0.1
"""Mean silhouette below which members are hardly closer to each other than to the next segment.
Why: 0 is the border itself."""
OVERWEIGHT = 1.5
"""Times their share of customers that flagged ones bring of revenue before it is a warning.
Why: below, removing them would not move the money much."""
FEW_FLAGS = 10
"""Flagged customers below which nothing is said of how flags depend on eps.
Why: one customer more or less would change the answer."""
STAYS = 0.8
"""Share of flags that must stay in nearly every trial for them to be called settled.
Why: one in five may hang on who else is in the data."""
HARDLY_PULLED = 0.9
"""Adjusted Rand index with and without flagged customers from which they hardly pull the centres.
Why: nearly everybody stays where they are."""
ILLUSTRATION = 50
"""Customers of a group below which its choice of clusters is called an illustration only.
Why: the tests have little to go by."""
SENSITIVE = 0.6
"""Agreement of another setting, or share that keeps a name, below which it is called sensitive.
Why: the level at which a cluster is called unstable."""
LITTLE_MOVED = 0.01
"""Share of customers that a single start places elsewhere, below which no start matters.
Why: one in a hundred is not seen on any page."""
MUCH_MOVED = 0.1
"""Share from which a single start is not to be trusted.
Why: one customer in ten would be elsewhere."""
LEAST_SAME_NAME = 0.9
"""Share of customers who must keep the name of their segment on a resample.
Why: below, the name is named as a weakness of the model."""
MANY_BORDERLINE = 0.05
"""Share of borderline customers from which they are named as a weakness of the model.
Why: fewer are what any border has."""
MANY_SET_ASIDE = 0.1
"""Share of lines set aside, or of money under either answer of an unused flag, worth a warning.
Why: one line in ten is more than slips of the pen."""
LEAST_CALLED = 5
"""Customers on the list of whom to call first for it to be named as an action.
Why: fewer are single persons, not a list."""
ROUGH_FORECAST = 0.2
"""Share by which last time's forecast missed, above which the first page calls it too rough.
Why: no budget and no stock is planned with a fifth more or less."""
MUCH_CALLED = 0.05
"""Share of all revenue that those to call first must have spent to be the first action.
Why: one in twenty of all money; less is not where to begin."""
MOST_CONTACTS_AN_ORDER = 10_000
"""Contacts that cost as much as one order, above which cost and orders hardly share a currency.
Why: a printed and posted letter is about a hundredth of an order, an e-mail a ten-thousandth."""
MEAN_OF_FEW = 1.5
"""Mean of the orders that came over their median from which the median counts, in all segments.
Why: a few large orders make half as much again, and who is asked to come rarely places one."""
ONE_INTAKE = 0.5
"""Share of all months, the last ones, without a new customer, from which the page warns of it.
Why: then most of what falls or rises is one intake growing older."""
LIKE_TODAY = 0.8
"""Share of its customers below which a segment of the cut is not the one of that name today.
Why: another group may have earned the name then."""
LEAST_CUTS = 4
"""Quarters' ends below which a sentence says that the window allows no more.
Why: a spread of three cuts says little of the next."""
LEAST_PUBLISHED = 5
"""Customers behind a figure of a published table or file, at least.
Why: figures of fewer are about persons; statistical offices hide them likewise.
Source: Hundepool et al. 2012, Statistical Disclosure Control"""
LOOSE_RULES = 0.8
"""Share of held-out customers that rules must place rightly to explain segments.
Why: below, one in five is explained wrongly."""
MOST_SHOWN = 0.8
"""Share of the differences that two components must show for distances on the map to be close.
Why: a fifth that is hidden moves few customers far."""
HIDDEN_SPLIT = 0.9
"""Share of customers nearest to their own segment on the map, below which it hides the split.
Why: overlap on the map is then not overlap of segments."""
STRONG_LOADING = 0.4
"""Loading from which a feature is named as what moves a customer along the map.
Why: a sixth of the component's length is that feature's."""
LARGE_DIFFERENCE = 0.8
"""Standardised difference of means above which it is called large.
Why: the customary reading.
Source: Cohen 1988"""
NEGLIGIBLE_DIFFERENCE = 0.2
"""Standardised difference below which it is shown quietly.
Why: the customary reading.
Source: Cohen 1988"""
ALIKE_PRICES = 1.1
"""Ratio of prices per unit within which they are about the same.
Why: a tenth is within what a mix of products does."""
UNREACHABLE = 1.0
"""Break-even response above which a campaign cannot pay.
Why: more than everybody cannot answer."""
LONGER_SILENT = 1.5
"""Ratio of median days since the last order from which two groups are not alike.
Why: what the one did is then no forecast of the other."""


@dataclass(frozen=True)
class Limit:
    """One threshold as a reader is told of it."""

    room: str
    name: str
    value: Any
    meaning: str
    why: str
    source: str = "own choice"


def listed() -> list[Limit]:
    """Every limit of this module in its order.

    Examples
    --------
    >>> one = next(limit for limit in listed() if limit.name == "PSI_REFIT")
    >>> one.room, one.value, one.source
    ('core', 0.25, 'Siddiqi 2006, Credit Risk Scorecards')
    """
    source = Path(__file__).read_text(encoding="utf-8")
    lines = enumerate(source.splitlines(), start=1)
    rooms = {number: line[2:].split(":")[0] for number, line in lines if line.startswith("# ")}
    found = []
    for one, after in pairwise(ast.parse(source).body):
        if isinstance(one, ast.Assign) and isinstance(after, ast.Expr):
            said = ast.literal_eval(after.value)
            meaning, why, *whose = re.split("\n(?:Why|Source): ", said)
            room = rooms[max(number for number in rooms if number < one.lineno)]
            name = ast.unparse(one.targets[0])
            found.append(Limit(room, name, ast.literal_eval(one.value), meaning, why, *whose))
    return found
