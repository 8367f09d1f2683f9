#!/usr/bin/env bash
# Make .venv from the hash-pinned lock, with uv if it is there, otherwise venv and pip; find Java; fetch Delta's two jars and one of
# local files, and have Java archive the classes of Spark, once.
set -euo pipefail
cd "$(dirname "$0")/.."
python="${1:-python3.11}"

command -v "$python" >/dev/null || python=python3
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' ||
    { echo "Python 3.11 or 3.12 is needed (make setup PYTHON=/path/to/python3.11)" >&2; exit 2; }

major() { "$1" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -1 || true; }
java="${JAVA_HOME:+$JAVA_HOME/bin/}java"
found=$(major "$java")
case "$found" in
17 | 21) ;;
*)
    how="on Debian: apt-get install openjdk-17-jre-headless"
    for place in /usr/lib/jvm/* /Library/Java/JavaVirtualMachines/*/Contents/Home; do # Spark looks at JAVA_HOME and PATH alone
        case "$(major "$place/bin/java")" in 17 | 21) how="one is here: export JAVA_HOME='$place'" && break ;; esac
    done
    echo "Java 17 or 21 is needed (found: ${found:-none}); $how" >&2
    exit 2
    ;;
esac

wanted=$(sha256sum requirements.lock pyproject.toml | sha256sum | cut -c1-64)
if [ "$(cat .venv/.installed 2>/dev/null)" != "$wanted" ]; then
    echo "making .venv (a few minutes the first time)"
    if command -v uv >/dev/null; then
        [ -x .venv/bin/python ] || uv venv -q -p "$python" .venv
        uv pip install -q -p .venv/bin/python --require-hashes -r requirements.lock
        uv pip install -q -p .venv/bin/python --no-deps --no-build-isolation -e .
    else
        [ -x .venv/bin/python ] || "$python" -m venv .venv
        .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
        .venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
    fi
    echo "$wanted" >.venv/.installed
fi
log=$(mktemp)
.venv/bin/python -m promoloop.java 2>"$log" || { tail -3 "$log" >&2; echo "could not fetch the jars of promoloop.java (io.delta:delta-spark_4.1_2.13:4.4.0 and one more)" >&2; exit 2; }
made_of=$({ "$java" -version 2>&1; cat requirements.lock scripts/archive_classes.py; ls .jars/*.jar; } | sha256sum | cut -c1-64)
if [ "$(cat .jars/classes.of 2>/dev/null)" != "$made_of" ]; then
    echo "having Java keep Spark's classes (a minute, once)"
    rm -f .jars/classes.jsa
    if .venv/bin/python scripts/archive_classes.py >"$log" 2>&1; then
        echo "$made_of" >.jars/classes.of
    else
        tail -3 "$log" >&2
        echo "without that archive of classes every session starts some seconds later; all else works" >&2
    fi
fi
rm -f "$log"
