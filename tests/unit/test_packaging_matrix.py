"""`make test-matrix`: which cells it runs, with which Python and versions, and what its last lines say."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

# The checkout's own Python: pip has a configuration, and uv resolves to what it was asked for.
OWN_PYTHON = r"""#!/bin/bash
case "$*" in
    "-m pip config list") echo "global.index-url='mirror'" ;;
    "-m uv pip compile "*)
        mkdir -p airflow_provider_altegio.egg-info
        wanted=$(cat)
        while [ "$1" != --output-file ]; do [ "$1" = --python-version ] && python=$2; shift; done
        case "$wanted" in *apache-airflow==3.3*) wanted="setuptools>=77
uv" ;; esac
        printf '%s\n' "$wanted $UV_DEFAULT_INDEX" >"$2" ;;
esac
"""
# A cell's environment.
INSTALL = r"""#!/bin/bash
echo "$PYTHON $CONSTRAINTS" >>installed
mkdir -p "$VENV/bin"
cat >"$VENV/bin/python" <<'END'
#!/bin/bash
case "$*" in
    "-c "*) echo 3.9.9 ;;
    "-m pytest "*)
        echo "pytest $CONSTRAINTS $*" >>tested
        echo "1 passed in 0.1s"
        case "$CONSTRAINTS" in *"$FAILS"*) exit 1 ;; esac ;;
esac
END
chmod +x "$VENV/bin/python"
"""
# The only Python of the machine: 3.11.
MACHINES_PYTHON = '#!/bin/bash\ncase "$*" in *3.11*) exit 0 ;; *) exit 1 ;; esac\n'


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path):
    top = tmp_path / "a checkout"
    program(top / "scripts/matrix.sh", (REPOSITORY / "scripts/matrix.sh").read_text())
    program(top / "scripts/uv_settings.sh", (REPOSITORY / "scripts/uv_settings.sh").read_text())
    program(top / "scripts/install.sh", INSTALL)
    program(top / ".venv/bin/python", OWN_PYTHON)
    program(tmp_path / "bin/python3", MACHINES_PYTHON)
    for name in ("bash", "cat", "chmod", "cmp", "dirname", "grep", "mkdir", "rm", "sed", "tail", "tee"):
        found = shutil.which(name)
        assert found
        (tmp_path / "bin" / name).symlink_to(found)
    return top


@pytest.fixture
def run(checkout, tmp_path):
    def run(*arguments, fails="nothing"):
        env = {"PATH": str(tmp_path / "bin"), "PYENV_ROOT": str(tmp_path), "HOME": str(tmp_path), "FAILS": fails}
        command = ["scripts/matrix.sh", *arguments]
        return subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True, check=False, timeout=60)

    return run


def test_the_whole_matrix_says_what_it_ran_and_what_it_left_out(run, checkout):
    done = run()
    assert done.returncode == 0, done.stderr
    summary = done.stdout.split("\n\n")[-1].splitlines()
    assert [line.split()[0] for line in summary] == [
        f"{line}-py{python}" for line in ("lowest", "3.1", "3.2", "3.3", "newest") for python in ("3.11", "3.13")
    ]
    for line in summary:
        if "py3.13" in line:
            assert "skipped: this machine has no Python 3.13" in line
        elif "newest" in line:
            assert "the same versions as 3.3-py3.11" in line
        else:
            assert "Airflow 3.9.9" in line
            assert "1 passed in 0.1s" in line
    installed = (checkout / "installed").read_text().splitlines()
    files = ["constraints-lowest.txt", *(f".matrix/{line}-py3.11.txt" for line in ("3.1", "3.2", "3.3"))]
    assert installed == [f"python3 {file}" for file in files]
    resolved = {line: (checkout / f".matrix/{line}-py3.11.txt").read_text().split() for line in ("3.1", "3.2")}
    assert resolved["3.1"] == ["setuptools>=77", "uv", "apache-airflow==3.1.*", "mirror"]
    # Of these two Airflow 3.2.2 takes versions that it does not work with.
    assert resolved["3.2"] == ["setuptools>=77", "uv", "apache-airflow==3.2.*", "fastapi<0.137", "svcs<26", "mirror"]
    # Beside the sources, the build's metadata would show Airflow every entry point twice.
    assert not (checkout / "airflow_provider_altegio.egg-info").exists()


@pytest.mark.parametrize(
    ("cells", "arguments", "files"),
    [
        (["3.1"], [], ["3.1"]),
        (["lowest-py3.11"], ["tests/unit"], ["lowest"]),
        (["py3.11"], ["-k", "3.1"], ["lowest", "3.1", "3.2", "3.3"]),
        (["newest", "3.2-py3.11"], ["-x"], ["3.2", "newest"]),
    ],
)
def test_words_choose_cells_and_the_rest_goes_to_pytest(run, checkout, cells, arguments, files) -> None:
    assert run(*cells, *arguments).returncode == 0
    tested = (checkout / "tested").read_text().splitlines()
    assert [line.split()[1] for line in tested] == [
        "constraints-lowest.txt" if line == "lowest" else f".matrix/{line}-py3.11.txt" for line in files
    ]
    assert all(line.endswith(" ".join(arguments)) for line in tested)


def test_a_failed_cell_fails_the_run_and_the_others_run_all_the_same(run, checkout):
    done = run("py3.11", fails="3.1-py3.11")
    assert done.returncode == 1
    assert "failed: 3.1-py3.11" in done.stderr
    assert len((checkout / "tested").read_text().splitlines()) == 4
