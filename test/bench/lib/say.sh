# What a run says, and why it ended early.
# shellcheck shell=bash

say() {
	printf '%(%H:%M:%S)T  %s\n' -1 "$*"
}

fail() {
	echo "bench: $*" >&2
	exit 1
}
