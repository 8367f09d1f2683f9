"""Build the zip for `spark-submit --py-files`: the library, with jobs, conf and expectations inside it.

A wheel given to --py-files is not importable on Python workers, so this is a plain zip of the package.
"""

import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKED = {ROOT / "lib": "", **{ROOT / name: f"promoloop/_home/{name}" for name in ("jobs", "conf", "expectations")}}


def main(target: Path) -> None:
    """Write `target`, sorted and with fixed dates, so that equal content gives an equal file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder, prefix in PACKED.items():
            for path in sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
                name = str(Path(prefix) / path.relative_to(folder))
                info = zipfile.ZipInfo(name, date_time=(2020, 1, 1, 0, 0, 0))
                archive.writestr(info, path.read_bytes(), zipfile.ZIP_DEFLATED)
    partial.rename(target)
    print(f"{target} ({target.stat().st_size // 1024} KiB)")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
