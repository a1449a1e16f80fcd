#!/bin/sh
# Installs a wheel into an environment of its own, away from the source tree, and uses it as a stranger would.
# Usage: wheel_alone.sh PYTHON WHEEL   (`make wheel-test` calls it)
set -eu
python=$1
wheel=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
constraints=$(pwd)/constraints.txt
alone=$(mktemp -d)
trap 'rm -rf "$alone"' EXIT INT TERM
"$python" -m venv "$alone/env"
"$alone/env/bin/python" -m pip install --quiet --disable-pip-version-check -c "$constraints" "$wheel"
cd "$alone"
unset PYTHONPATH
"$alone/env/bin/pellucid" --help >/dev/null
"$alone/env/bin/python" -c 'import pathlib, pellucid, sys; sys.exit(not pathlib.Path(pellucid.__file__).is_relative_to(sys.prefix))'
"$alone/env/bin/pellucid" train digits --network convnet --epochs 1 --quiet --out run
test -s run/report.html
"$alone/env/bin/python" - <<'PYTHON'
import pellucid
from PIL import Image

Image.fromarray(pellucid.load("digits").test.pictures[0, 0]).save("digit.png")
PYTHON
"$alone/env/bin/pellucid" predict run digit.png
"$alone/env/bin/python" -m pip uninstall --quiet --yes pellucid
echo "The wheel works in an environment of its own."
