"""Customer segmentation that people trust with money.

Reading order: `ingest` -> `clean` -> `features` -> `prepare` -> `cluster`,
`anomalies` -> `evidence` -> `naming` -> `recommend`; `pipeline` strings them
together, `report` publishes them, `model` scores new customers.
"""

__version__ = "0.1.0"
