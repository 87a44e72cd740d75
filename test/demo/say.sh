# What the reader sees: numbered steps, what runs in each, and why a demo ended early.
# shellcheck shell=bash
declare -A codes=([bold]=1 [dim]=2 [red]=31 [green]=32 [cyan]=36)
on_terminal=
[ ! -t 1 ] || on_terminal=1
steps=0

# Colors on a terminal only.
paint() {
	if [ -n "$on_terminal" ]; then printf '\e[%sm%s\e[0m' "${codes[$1]}" "$2"; else printf '%s' "$2"; fi
}

say() {
	printf '   %s\n' "$*"
}

step() {
	steps=$((steps + 1))
	printf '\n%s\n' "$(paint bold "$steps. $*")"
}

# A command or SQL, as it runs.
show() {
	say "$(paint cyan "${1//$'\n'/$'\n'   }")"
}

# What came of it.
note() {
	say "$(paint dim "$*")"
}

fail() {
	echo "demo failed: $*" >&2
	exit 1
}
