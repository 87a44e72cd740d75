# in_group COMMAND...: runs it in a process group of its own, whose number is in $job meanwhile,
# so that a trap can end all of it.
# shellcheck shell=bash
job=

in_group() {
	local status=0
	set -m
	"$@" </dev/null &
	job=$!
	set +m
	wait "$job" || status=$?
	job=
	return "$status"
}
