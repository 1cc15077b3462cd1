"""What needs Apache Airflow, which `make test-airflow` installs and runs."""
