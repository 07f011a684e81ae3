# What the scripts of samples/ share: building, processes with logs, waiting for what they say. To be sourced, after set -euo pipefail.

me=samples/$(basename "$0")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=
dir=
declare -A pid_of=() # of all that runs now

say() { printf '%s\n' "$@"; }
die() { echo "$me: $*" >&2; exit 1; }
misuse() { echo "$me: $*; see $me --help" >&2; exit 2; }
show_help() { sed -n '2,/^set /s/^# \{0,1\}//p' "$0"; }

# use_bin DIR: nothing is built
use_bin() {
    [ -x "$1/sockbroker" ] || misuse "--bin '$1': there is no sockbroker"
    bin=$(cd "$1" && pwd)
}

# begin COMMAND: makes $dir; the command cleans up, whatever happens
begin() {
    dir=$(mktemp -d)
    # shellcheck disable=SC2064 # the name, not what it will be
    trap "$1" EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

quietly() { "$@" >"$dir/log" 2>&1 || { cat "$dir/log" >&2; die "$1 failed, see above"; }; }

# build TARGET...: into build/, with what that needs; not with --bin
build() {
    [ -z "$bin" ] || return 0
    say "Building into build/ (the first time takes a minute or two) ..."
    SOCKBROKER_NNG=$("$here/proto/setup/install" | tail -n 1)
    export SOCKBROKER_NNG
    cd "$here"
    quietly cmake --preset default -U nng_DIR -U SOCKBROKER_NNG_IS_SOUND
    quietly cmake --build build --target "$@"
    bin=$here/build/bin
}

# await WHAT COMMAND...: until the command succeeds, for 20 seconds
await() {
    local what=$1 i
    shift
    for ((i = 0; i < 400; i++)); do
        if "$@"; then return; fi
        sleep 0.05
    done
    cat "$dir"/*.log >&2
    die "$what: not within 20 seconds; the logs are above"
}

# is_ready PID LOG
is_ready() {
    kill -0 "$1" 2>/dev/null || { cat "$2" >&2; die "it ended before it was ready, see above"; }
    grep -qE ' event=ready |^ready$' "$2"
}

# start NAME COMMAND...: in the background, with a log; ${pid_of[NAME]} is its process id
start() {
    local name=$1
    shift
    : >"$dir/$name.log" # there before the first look at it
    "$@" </dev/null >>"$dir/$name.log" 2>&1 &
    pid_of[$name]=$!
    disown # so that bash does not comment on its end
    await "$name" is_ready $! "$dir/$name.log"
}

# $port: where the broker listens
find_port() {
    port=$(sed -n 's/.* event=listening .* address=[^ ]*:\([0-9]*\) .*/\1/p' "$dir/broker.log")
}

# ${hosts[@]}: this machine, over each family that it has
find_hosts() {
    hosts=(127.0.0.1 ::1)
    if ! grep -q '^0\{31\}1 ' /proc/net/if_inet6 2>/dev/null; then
        hosts=(127.0.0.1)
        say "This machine has no ::1, so all clients use IPv4."
    fi
}

status() { "$bin/sockbroker" status --dir "$dir/run"; }
