"""Gets a real API server where Go is present, keeps it in a cache folder, and runs its tests.

    python -m tests.realapi [arguments of pytest]

Without Go nothing can be built: it says so and ends well.
"""

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

APIEXTENSIONS_APISERVER = "k8s.io/apiextensions-apiserver@v0.36.0"
ETCD = "go.etcd.io/etcd/server/v3@v3.5.21"  # 3.4 lacks what streamed lists need
BUILD_SECONDS = 1800

log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Where the binaries are kept between runs, outside of the tree."""
    given = os.environ.get("KUBEBUILDER_ASSETS")
    if given:
        return Path(given)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "fleetwatch" / "kubebuilder-assets"


def build(folder: Path, module: str, name: str) -> None:
    """Build one binary with a module of two lines: `go install` refuses replace directives."""
    log.info("building %s (%s): a few minutes, once", name, module)
    folder.mkdir(parents=True, exist_ok=True)
    path = module.partition("@")[0]
    with tempfile.TemporaryDirectory(prefix="fleetwatch-realapi-") as tools:
        for command in (
            ["go", "mod", "init", "tools"],
            ["go", "get", module],
            ["go", "build", "-o", str(folder / f"{name}.part"), path],
        ):
            subprocess.run(
                ["nice", "-n", "10", *command], cwd=tools, check=True, timeout=BUILD_SECONDS
            )
    (folder / f"{name}.part").rename(folder / name)


def main() -> int:
    """Build what is missing and run the tests."""
    logging.basicConfig(level=logging.INFO, format="realapi: %(message)s")
    folder = cache_folder()
    missing = {
        name: module
        for name, module in (("etcd", ETCD), ("apiextensions-apiserver", APIEXTENSIONS_APISERVER))
        if not (folder / name).exists()
    }
    if missing and shutil.which("go") is None:
        log.info("not run: Go is not installed, and %s lacks %s", folder, ", ".join(missing))
        return 0
    for name, module in missing.items():
        build(folder, module, name)
    environment = os.environ | {"KUBEBUILDER_ASSETS": str(folder)}
    command = [sys.executable, "-m", "pytest", "-m", "realapi", "tests/realapi", *sys.argv[1:]]
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
