# size FULL QUICK [TINY]: the one that this run is of. Tiny is for work on the bench itself.
# shellcheck shell=bash

size() {
	if [ -n "${TINY:-}" ]; then
		echo "${3:-$2}"
	elif [ -n "${QUICK:-}" ]; then
		echo "$2"
	else
		echo "$1"
	fi
}
