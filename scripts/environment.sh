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
    "${pip[@]}" --require-hashes --requirement "$root/requirements/build.txt" --requirement "$root/requirements/$lock.txt"
    "${pip[@]}" --no-build-isolation --no-deps --editable "$root"
    echo "$wanted" >"$venv/installed-$lock"
    if [[ $lock == test ]]; then
        echo "$wanted" >"$venv/installed-runtime"
    fi
}

# prepare_clients ROOT: afterwards ROOT/.venv-clients holds the clients that tests drive beside the one in .venv. Each
# older Python client has an environment of its own that falls back on .venv for the libraries they all ask for.
prepare_clients() {
    local root=$1 pins
    for pins in "$root"/requirements/clients/redivis-*.txt; do
        prepare_python_client "$root" "$pins"
    done
    prepare_javascript_client "$root"
}

# prepare_python_client ROOT PINS: a folder named after the client's version, made anew when a pin has changed.
prepare_python_client() {
    local root=$1 pins=$2 version venv wanted
    version=$(basename "$pins" .txt)
    version=${version#redivis-}
    venv=$root/.venv-clients/$version
    wanted=$({ cat "$pins" "$root/requirements/test.txt" && "$root/.venv/bin/python" -VV; } | cksum)
    if [[ $(cat "$venv/installed" 2>/dev/null) == "$wanted" ]]; then
        return
    fi
    echo "Setting up $venv ..." >&2
    rm -rf "$venv"
    "$root/.venv/bin/python" -m venv --without-pip "$venv"
    "$root/.venv/bin/python" -m pip --quiet --disable-pip-version-check --python "$venv/bin/python" \
        install --no-deps --require-hashes --requirement "$pins"
    # Only now, so that pip does not take what is in .venv for its own.
    "$root/.venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
        >"$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/tests.pth"
    echo "$wanted" >"$venv/installed"
}

# prepare_javascript_client ROOT: the JavaScript client. Where that is not possible, its tests fail and say so.
prepare_javascript_client() {
    local root=$1 folder=$1/.venv-clients/javascript pins=$1/requirements/clients/javascript wanted
    wanted=$(cat "$pins/package.json" "$pins/package-lock.json" | cksum)
    if [[ $(cat "$folder/installed" 2>/dev/null) == "$wanted" ]]; then
        return
    fi
    if ! command -v npm >/dev/null; then
        install_node || return 0
    fi
    echo "Setting up $folder ..." >&2
    rm -rf "$folder"
    mkdir -p "$folder"
    cp "$pins/package.json" "$pins/package-lock.json" "$folder"
    if ! npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel error >&2; then
        echo "npm could not fetch the JavaScript client; its tests will fail." >&2
        return 0
    fi
    echo "$wanted" >"$folder/installed"
}

# prepare_programs: what tests run beside the server. Where that is not possible, their tests fail and say so.
prepare_programs() {
    local missing=()
    command -v nginx >/dev/null || [[ -x /usr/sbin/nginx ]] || missing+=(nginx-light)
    command -v chromium >/dev/null || missing+=(chromium)
    command -v openssl >/dev/null || missing+=(openssl)
    if ((${#missing[@]} == 0)); then
        return
    fi
    if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
        echo "Some tests need what is not installed here: ${missing[*]}; install it and run this again." >&2
        return
    fi
    echo "Installing ${missing[*]} for tests behind a proxy and in a browser ..." >&2
    DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "${missing[@]}" >&2 || return 0
}

# install_node: Debian's Node.js, if this is Debian and we may.
install_node() {
    if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
        echo "The tests of the JavaScript client need Node.js 18 or newer and npm; install them and run this again." >&2
        return 1
    fi
    echo "Installing Node.js for the tests of the JavaScript client ..." >&2
    DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2 &&
        DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends nodejs npm >&2
}
