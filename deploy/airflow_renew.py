"""An Airflow DAG (version 3): renew customer segments on the first of each month.

Copy it into the folder of DAGs. It calls the command line and nothing else; the connection's
user and password come from the worker's environment.
"""

from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

BIN = "/opt/segmentation/.venv/bin"
FOLDER = "/srv/segments"
MONTH_BEFORE = '{{ macros.ds_add((logical_date or dag_run.run_after).strftime("%Y-%m-01"), -1) }}'

with DAG(
    dag_id="segmentation_renew",
    schedule="15 4 1 * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=15)},
) as dag:
    renew = BashOperator(
        task_id="renew",
        bash_command=f"{BIN}/segmentation renew shop.yaml --keep-runs 12 -p as_of {MONTH_BEFORE}",
        cwd=FOLDER,
        append_env=True,
    )
    summary = BashOperator(
        task_id="summary",
        bash_command=f"{BIN}/segmentation summary runs/shop --format text",
        cwd=FOLDER,
        append_env=True,
    )
    renew >> summary
