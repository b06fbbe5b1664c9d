# Sourced by the other scripts: makes .venv from the lock files, and again only when they have changed.

# The first Python of 3.11 or newer; ROWKEEP_PYTHON names another.
find_python() {
    local candidate
    for candidate in ${ROWKEEP_PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    echo "rowkeep needs Python 3.11 or newer; install it, or name it in ROWKEEP_PYTHON." >&2
    return 1
}

# prepare_environment ROOT runtime|test: afterwards ROOT/.venv holds what that lock file names, and rowkeep.
prepare_environment() {
    local root=$1 lock=$2 venv=$1/.venv python wanted
    wanted=$(cat "$root/pyproject.toml" "$root/requirements/build.txt" "$root/requirements/runtime.txt" \
        "$root/requirements/test.txt" | cksum)
    # What `test` installs contains all of `runtime`.
    if [[ $(cat "$venv/installed-$lock" 2>/dev/null) == "$wanted" && -x $venv/bin/rowkeep ]]; then
        return
    fi
    python=$(find_python)
    echo "Setting up $venv (once, and when the lock files change) ..." >&2
    if [[ ! -x $venv/bin/python ]]; then
        "$python" -m venv "$venv"
    fi
    local pip=("$venv/bin/python" -m pip --quiet --disable-pip-version-check install)
    "${pip[@]}" --requirement "$root/requirements/build.txt" --requirement "$root/requirements/$lock.txt"
    "${pip[@]}" --no-build-isolation --no-deps --editable "$root"
    echo "$wanted" >"$venv/installed-$lock"
    if [[ $lock == test ]]; then
        echo "$wanted" >"$venv/installed-runtime"
    fi
}
