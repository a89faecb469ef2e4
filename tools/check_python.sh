#!/bin/sh
# `make setup` asks this first: sh tools/check_python.sh PYTHON GOAL
# Silent where PYTHON fits; else one sentence that names an interpreter that does, and exit 2.
oldest=11
newest=15
fits() {
  "$1" -c "import sys, venv, ensurepip; sys.exit(not (3, $oldest) <= sys.version_info[:2] <= (3, $newest))" \
    >/dev/null 2>&1
}
fits "$1" && exit 0

wrong="$1 is $("$1" -V 2>/dev/null)" || wrong="$1 is not found"
# Debian has the module venv in a package of its own.
if "$1" -c "import sys; sys.exit(not (3, $oldest) <= sys.version_info[:2] <= (3, $newest))" >/dev/null 2>&1; then
  wrong="$wrong without the module venv"
fi
minor=$newest
while [ "$minor" -ge "$oldest" ]; do
  if fits "python3.$minor"; then
    echo "Python 3.$oldest to 3.$newest is needed and $wrong; use one that is here: make $2 PYTHON=python3.$minor" >&2
    exit 2
  fi
  minor=$((minor - 1))
done
echo "Python 3.$oldest to 3.$newest is needed and $wrong; install one (Debian, Ubuntu: apt-get install python3 python3-venv; macOS: brew install python; anywhere: uv python install 3.14), then name it: make $2 PYTHON=python3.14" >&2
exit 2
