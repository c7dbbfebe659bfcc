# Sourced by the scripts that run uv. uv does not read pip's configuration, so `tell_uv_what_pip_knows PYTHON` exports
# uv's counterpart of each setting of that Python's pip. A variable of uv that is already set is left as it is.

_pip_setting() {  # in pip's own order: the environment, then the files' section for `install`, then for everything
    for section in :env: install global; do
        sed -n "s/^$section\.$1='\(.*\)'\$/\1/p" <<<"$_pip_settings" | sed 's/\\n/ /g' | grep . && return
    done
}
_tell_uv() {  # pip's name, uv's name
    local value
    if [ -z "${!2:-}" ] && value=$(_pip_setting "$1"); then export "$2=$value"; fi
}
tell_uv_what_pip_knows() {
    _pip_settings=$("$1" -m pip config list)
    _tell_uv index-url UV_DEFAULT_INDEX
    _tell_uv extra-index-url UV_INDEX
    _tell_uv find-links UV_FIND_LINKS
    _tell_uv cert SSL_CERT_FILE
    _tell_uv proxy ALL_PROXY
    _tell_uv trusted-host UV_INSECURE_HOST
    # pip takes the best version of all indexes; uv by default the first index that has the name.
    export UV_INDEX_STRATEGY=${UV_INDEX_STRATEGY:-unsafe-best-match}
    # The Pythons of this machine only: a download of an interpreter is not what `make setup` promises.
    export UV_PYTHON_DOWNLOADS=${UV_PYTHON_DOWNLOADS:-never}
}
