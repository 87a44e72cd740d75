# The phases of the demo and when each began.
# shellcheck shell=bash
: "${demo:?}"
phase=

# phase NAME RELEASES: begins now, which ends the one before; without a name that is all.
phase() {
	local now=$EPOCHREALTIME
	[ -z "$phase" ] || echo "$phase $now" >>"$demo/phases"
	phase=${1:+"$1 $2 $now"}
}

ms_since() {
	echo $(((${EPOCHREALTIME/./} - ${1/./}) / 1000))
}
